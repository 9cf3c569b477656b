import { expect, test } from 'vitest';
import { detect, type PiiCategory } from '../../../src/redaction/index.ts';

const categoriesIn = (text: string) =>
  detect(text, { pii_redaction: {} }).map(
    ({ category, start, end }) => `${category} ${text.slice(start, end)}`,
  );

test.each<[PiiCategory, string]>([
  ['email', 'ann@example.com'],
  ['email', 'ann.lee+tag@mail.example.co.uk'],
  ['email', '"ann lee"@example.com'],
  ['email', 'mailto:ann@example.com'],
  ['email', 'josé@müller.de'],
  ['email', 'ann@xn--mller-kva.de'],
  ['email', 'ann@[192.0.2.7]'],
  ['email', 'ann [at] example [dot] com'],
  ['phone', '+1 415-555-2671'],
  ['phone', '(415) 555-2671'],
  ['phone', '415.555.2671 x99'],
  ['phone', '+44 (0)20 7946 0018'],
  ['phone', '0044 20 7946 0018'],
  ['phone', '+4915123456789'],
  ['phone', '020 7946 0018'],
  ['ssn', '536-22-8731'],
  ['ssn', '536 22 8731'],
  ['ssn', '536.22.8731'],
  ['credit_card', '4111111111111111'],
  ['credit_card', '4111 1111 1111 1111'],
  ['credit_card', '4111-1111-1111-1111'],
  ['credit_card', '3782 822463 10005'],
  ['credit_card', '6011111111111117'],
  ['credit_card', '2223003122003222'],
  ['credit_card', '4111\n1111\n1111\n1111'],
  ['ip_address', '203.0.113.77'],
  ['ip_address', '10.0.0.0/8'],
  ['ip_address', '0313.0.0161.0115'],
  ['ip_address', '2001:db8:85a3::8a2e:370:7334'],
  ['ip_address', 'fe80::1ff:fe23:4567:890a%eth0'],
  ['ip_address', '::ffff:203.0.113.77'],
  ['ip_address', '::1'],
])('finds the %s %j in the middle of a sentence and alone', (category, value) => {
  expect(categoriesIn(`Please use ${value} (verified).`)).toEqual([`${category} ${value}`]);
  expect(categoriesIn(value)).toEqual([`${category} ${value}`]);
});

test.each([
  ['phone', 'Can you call 2025550 or write?', '2025550'],
  ['phone', 'Fax: 460 73 493', '460 73 493'],
  ['phone', '9493 7477 office', '9493 7477'],
  ['ssn', 'SSN 536228731', '536228731'],
  ['ssn', 'social security number: 536-228731', '536-228731'],
  ['credit_card', 'card no. 5019 7170 1010 3742', '5019 7170 1010 3742'],
])('finds a %s by the word beside it: %s', (category, text, value) => {
  expect(categoriesIn(text)).toEqual([`${category} ${value}`]);
});

test.each([
  'meeting at 12:34:56 on 2024-01-02 03:04',
  'order 4111111111111112', // Luhn
  'order 1111111111111111',
  'id 536228731',
  '000-12-3456, 666-12-3456, 912-12-3456, 536-00-1234, 536-12-0000',
  'zip 90210-1234',
  'version 1.2.3.4 and 1.2.3.4.5',
  '999.1.2.3 and 1.2.3',
  'MAC 00:1A:2B:3C:4D:5E or 01-23-45-67-89-AB',
  'std::vector, a::b, x[1::2], Ratio 1:2:3:4',
  'logo@2x.png, pkg@1.2.3, @decorator, user@host',
  'IBAN DE89 3704 0044 0532 0130 00',
  'pi is 0.4539578763621486 and e 2.718281828',
  'sha 8f953371d3e85eddb89b05ed6b9e680791055315c73e1025ab5dba7bb2aee189',
  '9d5ed678-fe57-4cca-a101-400957814571',
  'at 1700000000000 ms, 1700000000000000000 ns',
  '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18',
  'pages 100-200, 1,000,000 items, $1,234.56',
  '4012 5000 4111 4000 4212 4300 4111 4000 4212',
])('leaves alone: %s', (text) => {
  expect(categoriesIn(text)).toEqual([]);
});

test('reports only the categories that were asked for', () => {
  const text = 'ann@example.com 536-22-8731 203.0.113.77';
  const rules = { pii_redaction: { categories: ['ssn'] } } as const;
  expect(detect(text, rules)).toEqual([{ category: 'ssn', start: 16, end: 27, path: '' }]);
  expect(detect(text, { pii_redaction: { categories: [] } })).toEqual([]);
});
