/** What the name of a value says about it. */
export type CredentialKind = 'password' | 'credential' | 'key' | null;

const PASSWORD =
  /passw|passphrase|passcode|pwd|senha|contrase|kennwort|wachtwoord|motdepasse|salasana|lösenord|hasło|şifre|парол|密码|密碼|パスワード|비밀번호|암호|mậtkhẩu|รหัสผ่าน|سر$|סיסמ/;
const PASSWORD_WORDS: ReadonlySet<string> = new Set(['pass', 'pw', 'heslo', 'parola']);
const CREDENTIAL =
  /secret|token|credential|apikey|authkey|accesskey|privatekey|signingkey|passkey|bearer|licensekey/;
const CREDENTIAL_WORDS: ReadonlySet<string> = new Set([
  'creds',
  'cred',
  'auth',
  'authorization',
  'apikey',
]);

/** Last words of names that speak about a credential instead of holding one. */
const ABOUT: ReadonlySet<string> = new Set(
  (
    'id ids name names type types url uri urls path paths file files filename dir length len size count limit max min ' +
    'expiry expires expiration ttl at date time timeout enabled required valid label hint field fields prefix suffix ' +
    'version status policy format arn method mode index alias usage budget provider store manager service class ' +
    'error regex pattern rotation ring board word words code codes stroke press vault ref reference source info ' +
    'list map set strength reset change changed confirm message prompt placeholder title description count hash ' +
    'tokens endpoint uid header headers fingerprint thumbprint algorithm'
  ).split(' '),
);
/** Words that make any name harmless: it holds something else, or says that its value is none. */
const HARMLESS: ReadonlySet<string> = new Set(
  (
    'redacted public pub tokenizer tokenize tokenized tokenization csrf xsrf keyboard keyword keywords author next page pagination cursor ' +
    'example sample dummy fake mock invalid non not wrong placeholder'
  ).split(' '),
);
/** What stands before `key` when it is not a credential. */
const PLAIN_KEYS: ReadonlySet<string> = new Set(
  (
    'primary foreign sort partition cache row object dict unique composite translation query group map hash index lookup sorting json config registry item react event hot arrow enter shift control ' +
    'idempotency idempotence dedup deduplication surrogate websocket routing ordering correlation record document field merge storage blob message node entity resource locale i18n feature flag natural candidate join range s3 bucket'
  ).split(' '),
);

/**
 * Judges the name of a variable, key, header, flag or element: does it hold a password, another
 * credential, or just something called key?
 *
 * @param name - as written: `dbPassword`, `X-Auth-Token`, `--api-key`, `AWS_SECRET`
 */
export function credentialKindOf(name: string): CredentialKind {
  const words = wordsOf(name);
  const last = words.at(-1) ?? '';
  if (words.some((word) => HARMLESS.has(word)) || (words.length > 1 && ABOUT.has(last)))
    return null;
  const joined = words.join('');
  if (PASSWORD.test(joined) || words.some((word) => PASSWORD_WORDS.has(word))) return 'password';
  if (last === 'key' || last === 'keys') return kindOfKey(words);
  if (CREDENTIAL.test(joined) || CREDENTIAL_WORDS.has(last)) return 'credential';
  return last.endsWith('key') && last.length > 3 ? 'key' : null;
}

function kindOfKey(words: readonly string[]): CredentialKind {
  if (words.length === 1) return 'key';
  return PLAIN_KEYS.has(words.at(-2) as string) ? null : 'credential';
}

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}
