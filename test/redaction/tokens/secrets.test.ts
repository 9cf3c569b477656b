import { expect, test } from 'vitest';
import { detect, SECRET_CATEGORIES, type SecretCategory } from '../../../src/redaction/index.ts';

const found = (text: string) =>
  detect(text, { secret_detection: {} }).map(
    ({ category, start, end }) => `${category} ${text.slice(start, end)}`,
  );

const GITHUB = `gh${'p_'}R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1uXoNi`;
const AWS = `AK${'IA'}Q7ZT3VHN5LDCEXK2`;
const AWS_SECRET = `k9TzQ2vR8mXw4LpY7bNc${'1HdJ6sFgE3aVu0iOqWeZ'}`;
const JWT = `ey${'J'}hbGciOiJIUzI1NiJ9.ey${'J'}zdWIiOiI4ODM3NDYxIn0.q3Vw8ZtYb1nKxR5mLsJ0dHcPgF7uTaE2`;
const KEY = 'R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1u';
const BODY = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7';

test.each<[SecretCategory, string, string]>([
  ['github_token', GITHUB, GITHUB],
  ['github_token', `x${GITHUB}`, GITHUB],
  ['aws_access_key', `id ${AWS}.`, AWS],
  ['aws_secret_key', `aws_secret_access_key = ${AWS_SECRET}`, AWS_SECRET],
  ['aws_secret_key', `AWS_SECRET_ACCESS_KEY="${AWS_SECRET}"`, AWS_SECRET],
  ['bearer_token', `Cookie: session=${JWT}; Path=/`, JWT],
  ['bearer_token', `authorization:bearer   ${KEY}`, KEY],
  ['bearer_token', 'Authorization: Basic YWRtaW46aHVudGVyMg==', 'YWRtaW46aHVudGVyMg=='],
  ['bearer_token', `Authorization: Token ${KEY}`, KEY],
  ['password', 'password = "hunter22"', 'hunter22'],
  ['password', "DB_PASSWORD='Vx9!kTq2pLm7'", 'Vx9!kTq2pLm7'],
  ['password', 'dbPassword: Vx9!kTq2pLm7', 'Vx9!kTq2pLm7'],
  ['password', '<password>Vx9kTq2pLm7</password>', 'Vx9kTq2pLm7'],
  ['password', 'host=db user=app password=Vx9!kTq2pLm7 dbname=prod', 'Vx9!kTq2pLm7'],
  ['password', 'Server=x;User ID=sa;Password=Vx9!kTq2pLm7;Encrypt=True', 'Vx9!kTq2pLm7'],
  ['password', 'psql --password Vx9kTq2pLm7', 'Vx9kTq2pLm7'],
  ['password', 'mysql -u root -pVx9!kTq2pLm7 prod', 'Vx9!kTq2pLm7'],
  ['password', 'curl -u admin:Vx9!kTq2pLm7 https://x.test/', 'Vx9!kTq2pLm7'],
  ['password', 'curl -k \\\n  --user admin:Vx9!kTq2pLm7 https://x.test/', 'Vx9!kTq2pLm7'],
  ['password', "CREATE USER app IDENTIFIED BY 'Vx9kTq2pLm7';", 'Vx9kTq2pLm7'],
  ['password', "ALTER ROLE app WITH PASSWORD 'Vx9kTq2pLm7'", 'Vx9kTq2pLm7'],
  ['password', 'redis-cli -a Vx9kTq2pLm7', 'Vx9kTq2pLm7'],
  ['password', 'openssl rsa -passin pass:Vx9kTq2pLm7', 'Vx9kTq2pLm7'],
  ['generic_api_key', `"api_key": "${KEY}"`, KEY],
  ['generic_api_key', `X-API-Key: ${KEY}`, KEY],
  ['generic_api_key', `https://x.test/?access_token=${KEY}&page=2`, KEY],
  ['generic_api_key', `var clientSecret string = "${KEY}"`, KEY],
  ['generic_api_key', `System.setProperty("APP_TOKEN", "${KEY}")`, KEY],
  ['generic_api_key', `Secret Key: ${KEY}`, KEY],
  ['generic_api_key', `#define API_TOKEN ${KEY}`, KEY],
  ['database_connection_string', 'postgres://app:Vx9!kTq2pLm7@db:5432/prod', 'Vx9!kTq2pLm7'],
  ['database_connection_string', 'postgres://app:Vx9@kTq2@pLm7@db/prod', 'Vx9@kTq2@pLm7'],
  ['database_connection_string', 'mysql+pymysql://a:tiger@localhost/x', 'tiger'],
  ['database_connection_string', 'redis://:Vx9kTq2pLm7@cache:6379/0', 'Vx9kTq2pLm7'],
  ['password_in_url', 'https://user:Vx9kTq2pLm7@x.test/y', 'Vx9kTq2pLm7'],
  ['password_in_url', `git clone https://${KEY}@host.test/x.git`, KEY],
])('finds %s in: %s', (category, text, secret) => {
  expect(found(text)).toEqual([`${category} ${secret}`]);
});

test.each<[SecretCategory, string]>([
  ['private_key', 'PRIVATE KEY'],
  ['private_key', 'RSA PRIVATE KEY'],
  ['private_key', 'ENCRYPTED PRIVATE KEY'],
  ['private_key', 'PGP PRIVATE KEY BLOCK'],
  ['ssh_private_key', 'OPENSSH PRIVATE KEY'],
  ['certificate', 'CERTIFICATE'],
])('takes a %s block whole: %s', (category, label) => {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  for (const line of ['\n', '\r\n', '\\n', '\\\\n', '\n    ', '" +\n "']) {
    const block = `${begin}${line}${BODY}${line}${BODY}${line}${end}`;
    expect(found(`key: ${block} and so on`)).toEqual([`${category} ${block}`]);
  }
});

test('takes a block without an end as far as it looks like one', () => {
  const block = `-----BEGIN PRIVATE KEY-----\n${BODY}\n${BODY}\n`;
  const [finding] = found(`${block}the rest of the log is kept`);
  expect(finding).toContain(`private_key ${block}`);
  expect(finding).not.toContain('rest');
});

test.each([
  '-----BEGIN PRIVATE KEY-----\n***\n-----END PRIVATE KEY-----',
  '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----',
  'the bearer of bad news, basic instinct',
  'password = getPassword()',
  'password: string; token: Token; secret?: boolean',
  'password = "********"',
  `password = ${'{DB_PASSWORD}'} and {{ password }} and <password>`,
  'api_key = "YOUR_API_KEY_HERE"',
  'token = os.environ["TOKEN"]',
  'const key = "some.dotted.name"; sortKey = "created_at_desc_index"',
  'max_tokens: 4096, token_type: access, keyboard = "qwertz2"',
  'public_key = "R7kQ2mZx9TnB4vLcW8sYpD3hJfGa6E1u"',
  `gh${'p_'}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`,
  `AK${'IA'}IOSFODNN7EXAMPLE`,
  'http://example.com/@user:pass, mailto:a:b, postgres://localhost/db',
  'mongodb://username:password@localhost:27017',
  'sha256: 8f953371d3e85eddb89b05ed6b9e680791055315c73e1025ab5dba7bb2aee189',
  'commit 3012a5754bbd716926f99c028f7ea42812345678',
  'class sk-circle-fade-dot sk-cube-grid',
  'eyJust a word. eyJhbGciOiJIUzI1NiJ9 alone',
  '<GITHUB_TOKEN> <PASSWORD> password=<PASSWORD> token: [SHA256:0123456789abcdef]',
])('leaves alone: %s', (text) => {
  expect(found(text)).toEqual([]);
});

test('reports only the categories that were asked for', () => {
  const text = `${GITHUB} ${AWS} password="Vx9!kTq2pLm7" ${JWT}`;
  for (const category of SECRET_CATEGORIES) {
    const rules = { secret_detection: { categories: [category] } };
    for (const finding of detect(text, rules)) expect(finding.category).toBe(category);
  }
  expect(detect(text, { secret_detection: { categories: [] } })).toEqual([]);
  expect(detect(text, { secret_detection: { enabled: false } })).toEqual([]);
});
