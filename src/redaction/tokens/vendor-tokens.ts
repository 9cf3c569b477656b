import type { SecretCategory } from '../categories.ts';

/**
 * The shape of one vendor's credentials: a literal that starts them and what follows it.
 *
 * Adding a vendor is one row here and one case in `test/vectors/vendor-tokens.json`.
 */
export interface VendorToken {
  /** Who issues it: lower case, unique. */
  readonly vendor: string;
  /** Literals of three characters or more, case-sensitive: they make the scan fast. */
  readonly prefixes: readonly string[];
  /** What must precede the prefix, and in which lengths, longest first. */
  readonly head?: { readonly shape: string; readonly lengths: readonly number[] };
  /** Regular expression source for what follows the prefix; linear, no groups that capture. */
  readonly body: string;
  /** Default: `vendor_token`. */
  readonly category?: SecretCategory;
}

const WORD = '[\\w-]';
const HEX = '[a-fA-F\\d]';
const ALNUM = '[A-Za-z\\d]';
/** A long base64 run, or lines of it. */
const BASE64_LINES = '[A-Za-z\\d+/]{30,}(?:\\r?\\n[A-Za-z\\d+/]{16,80})*={0,2}';
const UUID = `${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`;

/** All whole numbers from one to another. */
function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/**
 * Formats as the vendors document them, or as their tokens are published in secret-scanning
 * partner lists (GitHub "supported secret scanning patterns").
 */
export const VENDOR_TOKENS: readonly VendorToken[] = [
  { vendor: '1password', prefixes: ['ops_eyJ'], body: '[\\w+/-]{60,2000}={0,3}' },
  {
    vendor: '1password-secret-key',
    prefixes: ['A3-'],
    body: '[A-Z\\d]{6}-(?:[A-Z\\d]{11}|[A-Z\\d]{6}-[A-Z\\d]{5})-[A-Z\\d]{5}-[A-Z\\d]{5}-[A-Z\\d]{5}',
  },
  { vendor: 'adafruit', prefixes: ['aio_'], body: `${ALNUM}{28}` },
  { vendor: 'adobe', prefixes: ['p8e-', 'p8-'], body: `${ALNUM}{32}` },
  { vendor: 'age', prefixes: ['AGE-SECRET-KEY-1'], body: '[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}' },
  { vendor: 'airtable', prefixes: ['pat'], body: `${ALNUM}{14}\\.${HEX}{64}` },
  { vendor: 'akamai', prefixes: ['akab-'], body: '[A-Za-z\\d]{16}-[A-Za-z\\d]{16}' },
  { vendor: 'alibaba', prefixes: ['LTAI'], body: `${ALNUM}{12,24}` },
  {
    vendor: 'anthropic',
    prefixes: ['sk-ant-'],
    body: `(?:api|admin|oat|sid)?\\d{0,2}-?${WORD}{80,120}`,
  },
  { vendor: 'artifactory', prefixes: ['AKC', 'cmVmdGtu'], body: `${ALNUM}{10,100}` },
  { vendor: 'atlassian', prefixes: ['ATATT3', 'ATCTT3', 'ATBB'], body: '[\\w=-]{20,240}' },
  { vendor: 'atlassian-data-center', prefixes: ['BBDC-'], body: '[MNO][A-Za-z\\d+/@_-]{43}' },
  {
    vendor: 'authress',
    prefixes: ['sc_', 'ext_', 'scauth_', 'authress_'],
    body: `${ALNUM}{5,30}\\.${ALNUM}{4,6}\\.acc[_-][\\w-]{10,32}\\.[\\w+/=-]{30,120}`,
  },
  {
    vendor: 'aws-bedrock',
    prefixes: ['ABSK', 'bedrock-api-key-'],
    body: '[A-Za-z\\d+/]{30,400}={0,2}',
  },
  { vendor: 'brevo', prefixes: ['xkeysib-', 'xsmtpsib-'], body: `${HEX}{64}-${ALNUM}{16}` },
  { vendor: 'buildkite', prefixes: ['bkua_'], body: `${HEX}{40}` },
  { vendor: 'clickhouse-cloud', prefixes: ['4b1d'], body: `${ALNUM}{38}` },
  { vendor: 'clojars', prefixes: ['CLOJARS_'], body: `${ALNUM}{60}` },
  { vendor: 'cloudflare', prefixes: ['cfut_', 'cfat_', 'cfk_'], body: `${WORD}{40,60}` },
  { vendor: 'cloudflare-origin-ca', prefixes: ['v1.0-'], body: `${HEX}{24}-${HEX}{146}` },
  { vendor: 'contentful', prefixes: ['CFPAT-'], body: `${WORD}{43}` },
  { vendor: 'databricks', prefixes: ['dapi'], body: `${HEX}{32}(?:-\\d)?` },
  { vendor: 'defined-networking', prefixes: ['dnkey-'], body: `${WORD}{26}-${WORD}{52}` },
  { vendor: 'digitalocean', prefixes: ['dop_v1_', 'doo_v1_', 'dor_v1_'], body: `${HEX}{64}` },
  {
    vendor: 'discord-webhook',
    prefixes: ['discord.com/api/webhooks/', 'discordapp.com/api/webhooks/'],
    body: `\\d{15,22}/${WORD}{40,100}`,
  },
  { vendor: 'docker', prefixes: ['dckr_pat_', 'dckr_oat_'], body: `${WORD}{27,48}` },
  {
    vendor: 'doppler',
    prefixes: ['dp.pt.', 'dp.ct.', 'dp.st.', 'dp.sa.', 'dp.scim.', 'dp.audit.'],
    body: `(?:${WORD}{2,35}\\.)?${ALNUM}{40,44}`,
  },
  { vendor: 'dropbox', prefixes: ['sl.'], body: '(?:u\\.)?[\\w=-]{130,2000}' },
  { vendor: 'duffel', prefixes: ['duffel_test_', 'duffel_live_'], body: '[\\w=-]{43}' },
  {
    vendor: 'dynatrace',
    prefixes: ['dt0c01.', 'dt0s01.', 'dt0s16.', 'dt0s02.'],
    body: '[A-Z\\d]{24}\\.[A-Z\\d]{64}',
  },
  { vendor: 'easypost', prefixes: ['EZAK', 'EZTK'], body: `${ALNUM}{54}` },
  {
    vendor: 'facebook',
    prefixes: ['EAAC', 'EAAM', 'EAAB', 'EAAG', 'EAAD'],
    body: `${ALNUM}{40,300}`,
  },
  {
    vendor: 'figma',
    prefixes: ['figd_', 'figu_', 'figo_', 'figr_', 'figoh_', 'figor_'],
    body: `${WORD}{40}`,
  },
  {
    vendor: 'finicity-flutterwave',
    prefixes: ['FLWSECK', 'FLWPUBK'],
    body: '(?:_TEST)?-[a-hA-H\\d]{12,32}-X',
  },
  { vendor: 'flutterwave-encryption', prefixes: ['FLWSECK_TEST'], body: '-?[a-h\\d]{12}' },
  {
    vendor: 'fly-io',
    prefixes: ['fo1_', 'fm1r_', 'fm1a_', 'fm2_'],
    body: '[\\w+/-]{43,800}={0,3}',
  },
  { vendor: 'frame-io', prefixes: ['fio-u-'], body: '[\\w=-]{64}' },
  {
    vendor: 'gitlab',
    prefixes: [
      'glpat-',
      'gldt-',
      'glrt-',
      'glrtr-',
      'glft-',
      'glsoat-',
      'glffct-',
      'glwt-',
      'glcbt-',
    ],
    body: `(?:${ALNUM}{1,5}_)?(?:${WORD}{27,45}\\.${ALNUM}{2}\\.${ALNUM}{7,9}|${WORD}{20})(?![\\w-])`,
  },
  { vendor: 'gitlab-trigger', prefixes: ['glptt-'], body: `${HEX}{40}` },
  { vendor: 'gitlab-mail', prefixes: ['glimt-'], body: `${WORD}{25}` },
  { vendor: 'gitlab-agent', prefixes: ['glagent-'], body: `${WORD}{50}` },
  { vendor: 'gitlab-oauth', prefixes: ['gloas-'], body: `${HEX}{64}` },
  { vendor: 'gitlab-runner-registration', prefixes: ['GR1348941'], body: `${WORD}{20,40}` },
  { vendor: 'gitlab-session', prefixes: ['_gitlab_session='], body: `${HEX}{32}` },
  { vendor: 'grafana', prefixes: ['glc_', 'eyJrIjoi'], body: '[\\w+/-]{32,600}={0,3}' },
  { vendor: 'grafana-service-account', prefixes: ['glsa_'], body: `${ALNUM}{32}_[A-Fa-f\\d]{8}` },
  { vendor: 'groq', prefixes: ['gsk_'], body: `${ALNUM}{52}` },
  {
    vendor: 'harness',
    prefixes: ['pat.', 'sat.'],
    body: `${WORD}{22}\\.${ALNUM}{24}\\.${ALNUM}{20}`,
  },
  { vendor: 'hashicorp-vault', prefixes: ['hvs.', 'hvb.', 'hvr.'], body: `${WORD}{24,300}` },
  { vendor: 'heroku', prefixes: ['HRKU-'], body: `(?:${UUID}|${WORD}{60})` },
  { vendor: 'hubspot', prefixes: ['pat-na1-', 'pat-na2-', 'pat-eu1-', 'pat-ap1-'], body: UUID },
  { vendor: 'hugging-face', prefixes: ['hf_', 'api_org_'], body: `${ALNUM}{34,40}` },
  { vendor: 'infracost', prefixes: ['ico-'], body: `${ALNUM}{32}` },
  { vendor: 'intra42', prefixes: ['s-s4t2ud-', 's-s4t2af-'], body: `${HEX}{64}` },
  { vendor: 'langsmith', prefixes: ['lsv2_pt_', 'lsv2_sk_'], body: `${HEX}{32}_${HEX}{10}` },
  { vendor: 'launchdarkly', prefixes: ['sdk-', 'mob-', 'api-'], body: UUID },
  { vendor: 'linear', prefixes: ['lin_api_', 'lin_oauth_'], body: `${ALNUM}{32,64}` },
  { vendor: 'llama-cloud', prefixes: ['llx-', 'LLM|'], body: '[\\w|-]{40,64}' },
  { vendor: 'lob', prefixes: ['live_pub_', 'test_pub_'], body: `${HEX}{31}` },
  { vendor: 'lob-secret', prefixes: ['live_', 'test_'], body: `${HEX}{35}` },
  { vendor: 'gocardless', prefixes: ['live_', 'sandbox_'], body: '[\\w=-]{40}' },
  { vendor: 'mailgun', prefixes: ['key-', 'pubkey-'], body: `${HEX}{32}` },
  {
    vendor: 'mapbox',
    prefixes: ['pk.eyJ', 'sk.eyJ', 'tk.eyJ'],
    body: `${WORD}{20,200}\\.${WORD}{20,40}`,
  },
  { vendor: 'nats', prefixes: ['SUA', 'SAA', 'SOA', 'SNA', 'SCA'], body: '[A-Z2-7]{55}' },
  { vendor: 'netlify', prefixes: ['nfp_', 'nfc_', 'nfo_', 'nfu_', 'nfb_'], body: `${ALNUM}{36}` },
  {
    vendor: 'new-relic',
    prefixes: ['NRAK-', 'NRIQ-', 'NRII-', 'NRJS-', 'NRRA-', 'NRAA-', 'NRBR-', 'NRAL-'],
    body: `${WORD}{19,42}`,
  },
  { vendor: 'notion', prefixes: ['ntn_', 'secret_'], body: `${ALNUM}{43,50}` },
  { vendor: 'npm', prefixes: ['npm_'], body: `${ALNUM}{36}` },
  { vendor: 'nuget', prefixes: ['oy2'], body: '[a-z\\d]{43}' },
  { vendor: 'nvidia', prefixes: ['nvapi-'], body: `${WORD}{60,80}` },
  { vendor: 'octopus-deploy', prefixes: ['API-'], body: '[A-Z\\d]{26}' },
  {
    vendor: 'openai',
    prefixes: ['sk-'],
    body: `(?:(?:proj|svcacct|admin|service|None)-)?${WORD}{20,160}`,
  },
  { vendor: 'openrouter', prefixes: ['sk-or-v1-'], body: `${HEX}{64}` },
  { vendor: 'openshift', prefixes: ['sha256~'], body: `${WORD}{43}` },
  {
    vendor: 'paypal',
    prefixes: ['access_token$production$', 'access_token$sandbox$'],
    body: `[a-z\\d]{13,20}\\$${HEX}{32}`,
  },
  { vendor: 'perplexity', prefixes: ['pplx-'], body: `${ALNUM}{48}` },
  { vendor: 'pinecone', prefixes: ['pcsk_'], body: `${ALNUM}{5,7}_${ALNUM}{60,70}` },
  {
    vendor: 'planetscale',
    prefixes: ['pscale_tkn_', 'pscale_oauth_', 'pscale_pw_'],
    body: '[\\w=.-]{32,64}',
  },
  { vendor: 'posthog', prefixes: ['phc_', 'phx_', 'phs_'], body: `${ALNUM}{42,48}` },
  { vendor: 'postman', prefixes: ['PMAK-'], body: `${HEX}{24}-${HEX}{34}` },
  { vendor: 'prefect', prefixes: ['pnu_', 'pnb_'], body: `${ALNUM}{36}` },
  { vendor: 'pulumi', prefixes: ['pul-'], body: `${HEX}{40}` },
  {
    vendor: 'pypi',
    prefixes: ['pypi-AgEIcHlwaS5vcmc', 'pypi-AgENdGVzdC5weXBpLm9yZw'],
    body: `${WORD}{70,1000}`,
  },
  { vendor: 'readme', prefixes: ['rdme_'], body: '[a-z\\d]{70}' },
  { vendor: 'replicate', prefixes: ['r8_'], body: `${ALNUM}{37}` },
  { vendor: 'rubygems', prefixes: ['rubygems_'], body: `${HEX}{48}` },
  { vendor: 'scalingo', prefixes: ['tk-us-'], body: `${WORD}{48}` },
  { vendor: 'sendgrid', prefixes: ['SG.'], body: `${WORD}{20,24}\\.${WORD}{39,50}` },
  { vendor: 'sentry', prefixes: ['sntrys_eyJ'], body: '[\\w+/=-]{40,400}' },
  { vendor: 'sentry-user', prefixes: ['sntryu_', 'sntrya_', 'sntryi_'], body: `${HEX}{64}` },
  { vendor: 'settlemint', prefixes: ['sm_aat_', 'sm_pat_', 'sm_sat_'], body: `${ALNUM}{16}` },
  { vendor: 'shippo', prefixes: ['shippo_live_', 'shippo_test_'], body: `${HEX}{40}` },
  {
    vendor: 'shopify',
    prefixes: ['shpat_', 'shpca_', 'shppa_', 'shpss_', 'shptka_', 'shpit_'],
    body: `${ALNUM}{32,64}`,
  },
  {
    vendor: 'slack',
    prefixes: ['xoxb-', 'xoxp-', 'xoxs-', 'xoxo-', 'xoxc-', 'xoxe-', 'xoxa-', 'xoxr-'],
    body: '(?:\\d-)?(?:\\d{6,15}-){1,4}(?=\\d{0,64}[A-Za-z])[A-Za-z\\d]{10,64}|(?:\\d-)?[A-Za-z\\d]{8,200}(?![\\w-])',
  },
  { vendor: 'slack-cookie', prefixes: ['xoxd-'], body: '[A-Za-z\\d%+/]{40,400}={0,2}' },
  {
    vendor: 'slack-app',
    prefixes: ['xapp-'],
    body: '\\d-[A-Z\\d]{9,12}-\\d{10,14}-[a-z\\d]{32,64}',
  },
  {
    vendor: 'slack-config',
    prefixes: ['xoxe.xoxb-', 'xoxe.xoxp-'],
    body: '\\d-[A-Za-z\\d]{140,180}',
  },
  {
    vendor: 'slack-webhook',
    prefixes: ['hooks.slack.com/'],
    body: '(?:services|workflows|triggers)/[A-Za-z\\d+/_-]{20,80}',
  },
  { vendor: 'sonarqube', prefixes: ['squ_', 'sqp_', 'sqa_'], body: `${HEX}{40}` },
  {
    vendor: 'sourcegraph',
    prefixes: ['sgp_', 'slk_', 'sgd_'],
    body: `(?:${HEX}{16}_|local_)?${HEX}{40,64}`,
  },
  {
    vendor: 'square',
    prefixes: ['sq0atp-', 'sq0csp-', 'sq0idp-', 'sq0cgp-'],
    body: `${WORD}{22,60}`,
  },
  { vendor: 'square-access', prefixes: ['EAAAE', 'EAAAl', 'EAAAF'], body: `${WORD}{50,70}` },
  {
    vendor: 'stripe',
    prefixes: ['sk_live_', 'sk_test_', 'sk_prod_', 'rk_live_', 'rk_test_', 'rk_prod_'],
    body: `${ALNUM}{10,200}`,
  },
  { vendor: 'stripe-webhook', prefixes: ['whsec_'], body: '[A-Za-z\\d+/]{32,64}={0,2}' },
  { vendor: 'supabase', prefixes: ['sbp_'], body: `(?:v0_|oauth_)?${HEX}{40}` },
  { vendor: 'supabase-secret', prefixes: ['sb_secret_'], body: `${WORD}{22,48}` },
  {
    vendor: 'tailscale',
    prefixes: ['tskey-'],
    body: `(?:auth|api|client|scim|webhook|oauth)-${WORD}{10,80}`,
  },
  { vendor: 'tavily', prefixes: ['tvly-'], body: `${WORD}{20,64}` },
  {
    vendor: 'teams-webhook',
    prefixes: ['webhook.office.com/webhookb2/'],
    body: `${UUID}@${UUID}/IncomingWebhook/${HEX}{32}/${UUID}`,
  },
  { vendor: 'together', prefixes: ['tgp_v1_'], body: `${WORD}{40,60}` },
  {
    vendor: 'twilio',
    prefixes: [...'0123456789abcdef'].map((digit) => `SK${digit}`),
    body: `${HEX}{31}`,
  },
  { vendor: 'twitter-bearer', prefixes: ['AAAAAAAAAAAAAAAAAAAA'], body: '[A-Za-z\\d%]{60,120}' },
  { vendor: 'typeform', prefixes: ['tfp_'], body: '[\\w=.-]{40,70}' },
  { vendor: 'vercel', prefixes: ['vcp_', 'vci_', 'vca_', 'vcr_', 'vck_'], body: `${ALNUM}{24,64}` },
  { vendor: 'wakatime', prefixes: ['waka_'], body: UUID },
  { vendor: 'wundergraph', prefixes: ['cosmo_'], body: `${HEX}{32}` },
  { vendor: 'xai', prefixes: ['xai-'], body: `${ALNUM}{70,90}` },
  {
    vendor: 'yandex',
    prefixes: ['AQVN', 'y0_', 't1.'],
    body: `${WORD}{35,200}(?:\\.${WORD}{60,120})?`,
  },
  {
    vendor: 'github',
    prefixes: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'],
    body: `${ALNUM}{36,255}`,
    category: 'github_token',
  },
  {
    vendor: 'github-fine-grained',
    prefixes: ['github_pat_'],
    body: '\\w{36,255}',
    category: 'github_token',
  },
  {
    vendor: 'aws',
    prefixes: ['AKIA', 'ASIA', 'ABIA', 'ACCA'],
    body: '[A-Z\\d]{16}(?![A-Z\\d])',
    category: 'aws_access_key',
  },
  {
    vendor: 'google-api-key',
    prefixes: ['AIzaSy'],
    body: `${WORD}{33}`,
    category: 'gcp_credential',
  },
  {
    vendor: 'google-oauth',
    prefixes: ['ya29.'],
    body: '[\\w.-]{20,400}',
    category: 'gcp_credential',
  },
  {
    vendor: 'google-oauth-client',
    prefixes: ['GOCSPX-'],
    body: `${WORD}{28}`,
    category: 'gcp_credential',
  },
  {
    vendor: 'google-refresh',
    prefixes: ['1//0'],
    body: `${WORD}{40,160}`,
    category: 'gcp_credential',
  },
  {
    vendor: 'azure-storage',
    prefixes: ['AccountKey=', 'SharedAccessKey='],
    body: '[A-Za-z\\d+/]{42,90}={0,2}',
    category: 'azure_credential',
  },
  {
    vendor: 'pkcs8-rsa',
    prefixes: ['MIIE', 'MIIJ', 'MIIB', 'MIIC', 'MIIG'],
    body: '[A-Za-z\\d+/]{2}IBADANBgkqhkiG9w0BAQEFAAS[A-Za-z\\d+/]{12,}(?:\\r?\\n[A-Za-z\\d+/]{16,80})*={0,2}',
    category: 'private_key',
  },
  {
    vendor: 'pkcs1-rsa',
    prefixes: ['MIIE', 'MIIJ', 'MIIB', 'MIIC', 'MIIG'],
    body: `[A-Za-z\\d+/]{2}IBAA[JK]${BASE64_LINES}`,
    category: 'private_key',
  },
  {
    vendor: 'pkcs8-ec',
    prefixes: ['MIGHAgEAMBMGByqGSM49', 'MIG2AgEAMBAGByqGSM49', 'MHcCAQEEI', 'MC4CAQAwBQYDK2V'],
    body: BASE64_LINES,
    category: 'private_key',
  },
  {
    vendor: 'openssh-key',
    prefixes: ['b3BlbnNzaC1rZXktdjEA'],
    body: BASE64_LINES,
    category: 'ssh_private_key',
  },
  {
    vendor: 'azure-client-secret',
    prefixes: range(0, 9).map((digit) => `${digit}Q~`),
    head: { shape: '[\\w.~-]{3}', lengths: [3] },
    body: '[\\w.~-]{31,34}',
    category: 'azure_credential',
  },
  {
    vendor: 'azure-devops',
    prefixes: ['AZDO'],
    head: { shape: `${ALNUM}{76}`, lengths: [76] },
    body: `${ALNUM}{4}`,
    category: 'azure_credential',
  },
  {
    vendor: 'docker-swarm',
    prefixes: ['SWMTKN-1-', 'SWMKEY-1-'],
    body: `${ALNUM}{30,50}(?:-[a-z\\d]{25})?`,
  },
  {
    vendor: 'discord-bot',
    prefixes: range(10, 99).map((digits) =>
      Buffer.from(`${digits}`).toString('base64').slice(0, 3),
    ),
    body: `${WORD}{20,23}\\.${WORD}{6}\\.${WORD}{27,38}`,
  },
  {
    vendor: 'mailchimp',
    prefixes: ['-us'],
    head: { shape: '[a-f\\d]{32}', lengths: [32] },
    body: '\\d{1,2}',
  },
  {
    vendor: 'new-relic-licence',
    prefixes: ['NRAL'],
    head: { shape: `(?:[a-z]{2}\\d{2}x[a-z\\d]{31}|${HEX}{36})`, lengths: [36] },
    body: '',
  },
  {
    vendor: 'telegram-bot',
    prefixes: [':AA'],
    head: { shape: '\\d{8,10}', lengths: [10, 9, 8] },
    body: `${WORD}{33}`,
  },
  {
    vendor: 'terraform-cloud',
    prefixes: ['.atlasv1.'],
    head: { shape: `${ALNUM}{14}`, lengths: [14] },
    body: `${WORD}{60,70}`,
  },
  {
    vendor: 'base64-of-pem',
    prefixes: ['LS0tLS1CRUdJTi'],
    body: '[A-Za-z\\d+/]{40,}={0,2}',
    category: 'private_key',
  },
];
