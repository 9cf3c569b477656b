import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

/**
 * Texts that were made from descriptions of formats, not from any corpus: what the rules find and
 * leave alone where nobody tuned them.
 */
const ALL = createRedactor({ pii_redaction: {}, secret_detection: {} });
const categoriesIn = (text: string) => ALL.detect(text).map(({ category }) => category);
const left = (text: string) => ALL.redactText(text).value;

/** One or more ways to write a number in each country, as in its telephone directory. */
const NATIONAL: Readonly<Record<string, readonly string[]>> = {
  Argentina: ['011 15-1234-5678', '+54 9 11 1234-5678'],
  Australia: ['(02) 9876 5432', '0412 345 678', '+61 412 345 678'],
  Belgium: ['02 123 45 67', '+32 2 123 45 67'],
  Brazil: ['(11) 98765-4321', '11 98765-4321', '+55 (11) 98765-4321'],
  China: ['138 1234 5678', '010-12345678', '+86 138 1234 5678'],
  Denmark: ['12 34 56 78', '+45 12 34 56 78'],
  Egypt: ['+20 10 1234 5678'],
  France: ['01 23 45 67 89', '01.23.45.67.89', '+33 (0)6 12 34 56 78'],
  Germany: ['(0711) 123456', '0711/123456', '+49 (0)711 123456', '0049 711 1234567'],
  India: ['98765 43210', '+91-9876543210'],
  Indonesia: ['0812-3456-7890', '+62 812-3456-7890'],
  Israel: ['052-123-4567', '+972 52-123-4567'],
  Italy: ['347 123 4567', '06 1234 5678', '+39 347 1234567'],
  Japan: ['03-1234-5678', '090-1234-5678', '+81 3-1234-5678'],
  Kenya: ['0712 345678', '+254 712 345678'],
  Korea: ['02-123-4567', '010-1234-5678', '+82 10-1234-5678'],
  Malaysia: ['012-345 6789', '+60 12-345 6789'],
  Mexico: ['55 1234 5678', '+52 1 55 1234 5678'],
  Netherlands: ['06-12345678', '+31 6 12345678'],
  Nigeria: ['0803 123 4567', '+234 803 123 4567'],
  Norway: ['22 12 34 56', '+47 22 12 34 56'],
  Poland: ['12 345 67 89', '601 123 456', '+48 601 123 456'],
  Russia: ['8 (495) 123-45-67', '8-495-123-45-67', '+7 495 1234567'],
  Singapore: ['6123 4567', '+65-6123-4567'],
  'South Africa': ['082 123 4567', '+27 82 123 4567'],
  Spain: ['612 345 678', '91 123 45 67', '+34 612 345 678'],
  Sweden: ['08-123 456 78', '070-123 45 67', '+46 70 123 45 67'],
  Switzerland: ['044 668 18 00', '+41 44 668 18 00'],
  Turkey: ['0532 123 45 67', '+90 532 123 45 67'],
  'United Kingdom': ['020 7946 0958', '07700 900123', '+44(0)7700900123'],
  'United States': ['(555) 123-4567', '555.123.4567', '1-800-555-0199', '+1 555 123 4567 ext. 89'],
};

test.each(Object.entries(NATIONAL))('takes all digits of a number from %s', (_, numbers) => {
  for (const number of numbers) {
    expect(left(`Please call ${number} tomorrow.`), number).toMatch(/^Please call \W*<PHONE> tom/);
    expect(left(`Phone: ${number}`), number).toMatch(/^Phone: \W*<PHONE>$/);
    const isInternational = number.startsWith('+') || number.startsWith('00');
    if (isInternational) expect(left(`Ann Lee, Main Road, ${number}`), number).toContain('<PHONE>');
  }
});

test.each([
  ...['4111 - 1111 - 1111 - 1111', '4111  1111  1111  1111', '4111_1111_1111_1111'],
  ...['4111/1111/1111/1111', '4111–1111–1111–1111', '3056 930902 5904', '3782-822463-10005'],
  ...['6212345678901265', '3530111333300000', '6759649826438453', '5019717010103742'],
])('sees the card number %s', (text) => {
  expect(categoriesIn(text)).toEqual(['credit_card']);
});

test.each([
  ...[
    '536 - 22 - 8731',
    '536_22_8731',
    's.s.n. 536228731',
    'SS# 536228731',
    'soc sec no 536228731',
  ],
  ...['<ssn>536228731</ssn>', '"ssn":"536228731"', 'Social Security #: 536 22 8731'],
])('sees the social security number in %s', (text) => {
  expect(categoriesIn(text)).toEqual(['ssn']);
});

test.each([
  ...['203[.]0[.]113[.]5', '203.0.113[.]5', '203(.)0(.)113(.)5', '[2001:db8::1]:443'],
  ...['2001:DB8:0:0:8:800:200C:417A', '64:ff9b::192.0.2.33', 'fe80::a00:27ff:fe4e:66a1/64'],
  ...['203.0.113.5:8080', 'http://203.0.113.5/x', 'user@203.0.113.5', 'from 203.0.113.005'],
])('sees the address in %s', (text) => {
  expect(categoriesIn(`client ${text} connected`)).toContain('ip_address');
});

test.each([
  ...["o'brien@example.ie", 'müller@exämple.de', '用户@例子.公司', 'ann＠example.com'],
  ...['ann at example dot com', 'ann AT mail DOT example DOT org', 'ann(at)example.com'],
  ...[
    'ann[@]example[.]com',
    'ann=40example=2Ecom',
    'ann@exam=\nple.com',
    'ann@example.photography',
  ],
  ...['\x1b[1mann\x1b[0m@example.com', 'a\0n\0n\0@\0e\0x\0a\0m\0p\0l\0e\0.\0c\0o\0m\0'],
])('sees the e-mail address in %j', (text) => {
  expect(categoriesIn(`to ${text} now`)).toEqual(['email']);
});

const KEY = `R7kQ2mZx9TnB${'4vLcW8sYpD3hJfGa6E1u'}`;
const WORD = 'Vx9!kTq2pLm7';

/** How programs, files and people write a credential down. */
const WRITTEN: readonly string[] = [
  ...['API_KEY=«key»', 'export API_KEY="«key»"', 'set API_KEY=«key»', '$env:API_KEY = "«key»"'],
  ...[
    'ENV API_KEY «key»',
    'docker run -e API_KEY=«key» x',
    '--api-key «key»',
    '-H "X-Api-Key: «key»"',
  ],
  ...['"apiKey":"«key»"', "'apiKey': '«key»'", 'api-key: "«key»"', '<apiKey>«key»</apiKey>'],
  ...['<add key="ApiKey" value="«key»" />', '<property name="api.key" value="«key»"/>'],
  ...[
    '{"name":"API_KEY","value":"«key»"}',
    '- name: API_KEY\n  value: «key»',
    '?api_key=«key»&x=1',
  ],
  ...["define('API_KEY', '«key»');", 'const apiKey = `«key»`;', ':api_key => "«key»"'],
  ...['let api_key: &str = "«key»";', 'API_KEY: str = "«key»"', 'secrets["API_KEY"] = "«key»"'],
  ...['//registry.npmjs.org/:_authToken=«key»', 'npm config set //x/:_authToken «key»'],
  ...[
    'X-Vault-Token: «key»',
    'PRIVATE-TOKEN: «key»',
    'SECRET_KEY_BASE=«key»',
    'the token is «key»',
  ],
  ...[
    'Authorization: ApiKey «key»',
    'git clone https://oauth2:«key»@host.test/x',
    '| token | «key» |',
  ],
  ...['machine x.org login ann password «word»', 'password is «word»', 'Password: «word»'],
  ...['spring.datasource.password=«word»', 'PGPASSWORD=«word» psql', 'ansible_password: «word»'],
  ...['Server=h;Database=d;Uid=sa;Pwd=«word»;', 'requirepass «word»', 'bind_pw «word»'],
  ...["sshpass -p '«word»' ssh x", 'docker login -u ann -p «word»', 'htpasswd -b f ann «word»'],
  ...['net use z: \\\\h\\s /user:ann «word»', 'useradd -p «word» ann', 'zip -P «word» x.zip f'],
  ...[
    "ALTER LOGIN a WITH PASSWORD = N'«word»'",
    'wget --password=«word» x',
    'curl -u ann:«word» x',
  ],
  ...[
    'contraseña: «word»',
    'Passwort=«word»',
    'mot de passe : «word»',
    'пароль: «word»',
    '密码：«word»',
  ],
  ...[
    'パスワード: «word»',
    '비밀번호: «word»',
    'wachtwoord: «word»',
    'hasło: «word»',
    'senha=«word»',
  ],
];

test.each(WRITTEN)('takes the credential out of %j, and nothing else', (form) => {
  const redacted = left(form.replace('«key»', KEY).replace('«word»', WORD));
  const [before = '', after = ''] = form.split(/«\w+»/);
  expect(redacted.startsWith(before) && redacted.endsWith(after), redacted).toBe(true);
  expect(redacted.slice(before.length, redacted.length - after.length)).toMatch(/^<[A-Z_]+>$/);
});

/** What machines write that looks like a secret or a number and is none. */
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: length, maxLength: length });
const base64 = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => Buffer.from(bytes).toString('base64'));
const word = fc.constantFrom(...['primary', 'cache', 'event', 'sort', 'idempotency', 'partition']);
const HARMLESS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  UUIDs: fc.uuid().map((id) => `request ${id} finished`),
  'trace ids': fc.tuple(hex(32), hex(16)).map(([a, b]) => `{"trace_id":"${a}","span_id":"${b}"}`),
  commits: hex(40).map((hash) => `commit ${hash}\nMerge branch 'main'`),
  'integrity hashes': base64(64).map((hash) => `"integrity": "sha512-${hash}"`),
  'image digests': hex(64).map((hash) => `FROM node@sha256:${hash}`),
  'entity tags': hex(32).map((hash) => `ETag: "${hash}"`),
  'inline images': base64(300).map((data) => `src="data:image/png;base64,iVBORw0KGgo${data}"`),
  'public keys': base64(270).map((data) => `ssh-rsa AAAAB3NzaC1yc2E${data} ann`),
  versions: fc
    .tuple(digits(2), digits(3))
    .map(([a, b]) => `Chrome/1${a}.0.6${b}.109 Safari/537.36`),
  'time stamps': digits(3).map((ms) => `2024-03-11T10:22:33.${ms}Z 17000${ms}00000`),
  'order numbers': fc.tuple(digits(7), digits(7)).map(([a, b]) => `Order #114-${a}-${b} shipped`),
  coordinates: fc.tuple(digits(6), digits(6)).map(([a, b]) => `52.${a}, 13.${b}`),
  'cloud ids': hex(17).map((id) => `i-${id} in subnet-${id.slice(0, 8)}`),
  'keys that are none': fc.tuple(word, hex(32)).map(([name, value]) => `${name}Key: ${value}`),
  'postal codes': fc.tuple(digits(5), digits(4)).map(([a, b]) => `Springfield, IL ${a}-${b}`),
};

describe.each(Object.entries(HARMLESS))('%s', (_, texts) => {
  test('are left alone', () => {
    // One in a hundred may look like something by chance.
    const sample = fc.sample(texts, { numRuns: 200, seed: 7 });
    const hit = sample.filter((text) => categoriesIn(text).length > 0);
    expect(hit.length, hit[0]).toBeLessThanOrEqual(2);
  });
});

test.each([
  ...['OLDPWD=/var/www/site', 'client_secret = settings.CLIENT_SECRET', 'password reset token'],
  ...['S3Key=builds/3fa9c1/app.zip', 'nonMatchingToken = "wg5twlxuh8mcn8j6"', 'auth OAuth2.0'],
  ...['password: Password must be at least 8 characters', 'the secret: never give up'],
  ...['postgres://postgres:postgres@localhost:5432/db', 'setup-1.2.3.4.exe', 'PIN code box 12'],
  ...[
    'token: string | null',
    'key | value',
    'api_key: <your-api-key>',
    'password_hash = f(password)',
  ],
  ...[`task_${'test'}_a4if17395wmwqk40jtmfllezdaqgm2`, 'arn:aws:iam::009038051124:role/deploy'],
])('leaves alone: %s', (text) => {
  expect(left(text)).toBe(text);
});
