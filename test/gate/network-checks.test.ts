import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findHosts } from '../../src/gate/find-hosts.ts';
import { decideUnder, rulesOf } from './requests.ts';

const network = { allowed_domains: ['good.com', '*.corp.com'], denied_domains: ['bad.corp.com'] };

describe('addresses that are not allowed, in every disguise', () => {
  test.each<[string, string]>([
    ['plainly', 'https://evil.com/x'],
    ['in a sentence', 'please read https://evil.com/x now'],
    ['in upper case', 'HTTPS://EVIL.COM'],
    ['with a port', 'https://evil.com:8443/'],
    ['with a trailing dot', 'https://evil.com./'],
    ['behind a user that looks like a host', 'https://good.com@evil.com/'],
    ['behind a user and a password', 'https://good.com:good.com@evil.com/'],
    ['behind a backslash and an at sign', 'https://good.com\\@evil.com/'],
    ['with back slashes', 'https:\\\\evil.com\\x'],
    ['with one slash', 'https:/evil.com'],
    ['with no slash', 'https:evil.com'],
    ['with three slashes', 'https:///evil.com'],
    ['relative to a protocol', '//evil.com/x'],
    ['as a UNC path', '\\\\evil.com\\share'],
    ['with a tab inside the scheme', 'ht\ttps://evil.com'],
    ['with a line break inside the host', 'https://ev\nil.com'],
    ['percent-encoded', 'https%3A%2F%2Fevil.com'],
    ['percent-encoded twice', 'https%253A%252F%252Fevil.com'],
    ['with a percent-encoded host', 'https://%65vil.com'],
    ['with HTML entities', 'https&#58;&#x2f;&sol;evil.com'],
    ['with Unicode escapes', 'https:\\u002f\\u002fevil.com'],
    ['in fullwidth letters', 'https://ｅｖｉｌ．ｃｏｍ'],
    ['with a zero-width space', 'https://ev\u200bil.com'],
    ['with an ideographic full stop', 'https://evil。com'],
    ['over another scheme', 'ftp://evil.com'],
    ['over a scheme of a database', 'jdbc:postgresql://evil.com/db'],
    ['over a web socket', 'wss://evil.com'],
    ['as git over ssh', 'git@evil.com:repo.git'],
    ['as a bare host and port', 'evil.com:443'],
    ['as a bare host', 'evil.com'],
    ['as a subdomain of an exact name', 'https://sub.good.com'],
    ['as an exact name as subdomain', 'https://good.com.evil.com'],
    ['as a name that ends alike', 'https://notgood.com'],
    ['as the domain of a wildcard itself', 'https://corp.com'],
    ['as a look-alike', 'https://gооd.com'],
    ['as an IP address', 'http://169.254.169.254/latest'],
    ['as a decimal IP address', 'http://2852039166/'],
    ['as a hexadecimal IP address', 'http://0xA9FEA9FE/'],
    ['as an octal IP address', 'http://0251.0376.0251.0376/'],
    ['as a short IP address', 'http://127.1/'],
    ['as an IPv6 address', 'http://[::1]/'],
    ['as a mapped IPv6 address', 'http://[::ffff:169.254.169.254]/'],
    ['as localhost', 'http://localhost:8080'],
    ['as a bare IP address', '10.0.0.1'],
    ['as something no parser reads', 'http://[evil'],
  ])('%s', async (_, text) => {
    for (const args of [{ q: text }, [[{ deep: [text] }]], { [text]: 1 }]) {
      expect((await decideUnder({ network }, 'x', args)).effect, JSON.stringify(args)).toBe('deny');
    }
  });

  test('names the rule, the argument and the registrable domain, not what stands before it', async () => {
    const decision = await decideUnder({ network }, 'x', { u: ['https://c2VjcmV0.evil.com/'] });
    expect(decision.reasons).toEqual([
      {
        rule: 'network.allowed_domains',
        code: 'ENF_DENIED_NETWORK',
        message: '`evil.com` in `args.u[0]` is not an allowed domain',
      },
    ]);
  });

  test('denied wins over allowed, with all its subdomains', async () => {
    for (const host of ['bad.corp.com', 'x.bad.corp.com']) {
      expect(rulesOf(await decideUnder({ network }, 'x', { u: `https://${host}` }))).toEqual([
        'network.denied_domains',
      ]);
    }
  });

  test('an address that only the redacted arguments have is seen too', async () => {
    const decision = await decideUnder(
      { network },
      'x',
      { u: 'fine' },
      { redactedArgs: { u: 'https://evil.com' } },
    );
    expect(decision.effect).toBe('deny');
  });

  test('500 addresses are read, more are refused', async () => {
    const text = 'https://good.com '.repeat(501);
    expect((await decideUnder({ network }, 'x', { text })).reasons[0]?.message).toContain(
      'cannot be read',
    );
  });

  test('arguments too large to be examined deny', async () => {
    const decision = await decideUnder({ network }, 'x', { text: 'a'.repeat(200_000) });
    expect(decision.reasons[0]?.code).toBe('ENF_DENIED_RULE_FAILED');
  });
});

describe('what is allowed, and what is no address', () => {
  test.each<[string, string]>([
    ['an allowed domain', 'see https://good.com/a?b=c#d'],
    ['a subdomain of a wildcard', 'https://a.b.corp.com:8443'],
    ['an e-mail address', 'write to bob@evil.com'],
    ['a file name', 'main.py'],
    ['a file name and a line', 'src/main.py:12'],
    ['a path', '/etc/hosts'],
    ['a version', 'v1.2.3'],
    ['a time', '12:30'],
    ['a ratio in prose', 'note: this is 3:2'],
    ['a sentence without a space', 'Done.Next step'],
    ['a file URL', 'file:///tmp/x'],
    ['a Windows path', 'C:\\Users\\me'],
    ['a comment', '// a comment'],
    ['a JSON text', '{"a":"b","c":[1,2]}'],
    ['a C++ name', 'std::vector<int>'],
    ['an empty text', ''],
  ])('%s', async (_, text) => {
    const decision = await decideUnder({ network }, 'x', { text });
    expect(decision.reasons).toEqual([]);
  });

  test('a URL argument is a host also without a scheme', async () => {
    const document = { network, tools: { x: { args: { u: 'url' } } } };
    expect((await decideUnder(document, 'x', { u: 'evil.sh/install' })).effect).toBe('deny');
    expect((await decideUnder(document, 'x', { u: 'good.com/a' })).effect).toBe('allow');
  });

  test.each([
    ['no section', {}],
    ['a section that is off', { network: { enabled: false } }],
    ['unrestricted', { network: 'unrestricted' }],
  ])('with %s, arguments are not examined', async (_, document) => {
    expect((await decideUnder(document, 'x', { u: 'https://evil.com' })).effect).toBe('allow');
  });

  test.each([['none'], [{}], [{ allowed_domains: [] }]])(
    'network: %j denies every address',
    async (section) => {
      expect((await decideUnder({ network: section }, 'x', { u: 'https://good.com' })).effect).toBe(
        'deny',
      );
    },
  );

  test.each([
    ['https://anything.org', 'allow'],
    ['https://bad.org', 'deny'],
    ['http://169.254.169.254', 'deny'],
    ['http://localhost', 'deny'],
    ['http://printer.local', 'deny'],
    ['http://metadata.google.internal', 'deny'],
    ['http://intranet', 'deny'],
  ])('without `deny_all_other`, %s: %s', async (url, effect) => {
    const section = { deny_all_other: false, denied_domains: ['bad.org'] };
    expect((await decideUnder({ network: section }, 'x', { url })).effect).toBe(effect);
  });

  test('an address that is listed is allowed, in whatever notation', async () => {
    const section = { allowed_domains: ['10.0.0.1'] };
    for (const url of ['http://10.0.0.1/', 'http://0xa000001/', 'http://167772161']) {
      expect((await decideUnder({ network: section }, 'x', { url })).effect).toBe('allow');
    }
  });
});

test('whatever the text, hosts come out in normal form and nothing throws', () => {
  const pieces = fc.constantFrom(
    'http',
    's',
    ':',
    '/',
    '\\',
    '@',
    '.',
    'a.com',
    '[',
    ']',
    '%',
    '2e',
    ' ',
    '\t',
    '//',
    '1',
    '::',
    'é',
  );
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 30 }),
      fc.constantFrom('url' as const, 'data' as const),
      (parts, kind) => {
        for (const host of findHosts(parts.join(''), kind).hosts) {
          expect(host).toBe(host.toLowerCase());
          expect(host).not.toMatch(/[@/\\\s]|\.$/);
        }
      },
    ),
    { numRuns: 1000 },
  );
});
