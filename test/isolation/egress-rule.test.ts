import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forbiddenAddresses } from '../../src/isolation/egress-addresses.ts';
import { canonicalHost, decideAddresses, decideHost } from '../../src/isolation/egress-rule.ts';

const RULES = {
  allowedDomains: ['api.example.com', '*.corp.test', '203.0.113.7', 'xn--e1afmkfd.xn--p1ai'],
  deniedDomains: ['bad.corp.test', '*.evil.corp.test'],
};
const FORBIDDEN = forbiddenAddresses(['198.51.100.9', 'fe80::1%eth0', 'not an address']);
const host = (name: string, port = 443) => {
  const decision = decideHost({ host: name, port }, RULES);
  return decision.effect === 'allow' ? `allow ${decision.host}` : decision.reason;
};
const reach = (name: string, addresses: readonly string[], rules = RULES) => {
  const decision = decideAddresses({ host: name, addresses }, rules, FORBIDDEN);
  return decision.effect === 'allow' ? decision.addresses.join() : decision.reason;
};

describe('a name', () => {
  test.each([
    ['api.example.com', 'allow api.example.com'],
    ['API.Example.COM.', 'allow api.example.com'],
    ['ＡＰＩ。example.com', 'allow api.example.com'],
    ['a.b.corp.test', 'allow a.b.corp.test'],
    ['пример.рф', 'allow xn--e1afmkfd.xn--p1ai'],
    ['203.0.113.7', 'allow 203.0.113.7'],
    ['0xcb.0.0x71.7', 'allow 203.0.113.7'],
    ['example.com', 'not-allowed'],
    ['corp.test', 'not-allowed'],
    ['xcorp.test', 'not-allowed'],
    ['api.example.com.evil.test', 'not-allowed'],
    ['evil.test', 'not-allowed'],
    ['api.exаmple.com', 'not-allowed'],
    ['bad.corp.test', 'denied-domain'],
    ['BAD.corp.test.', 'denied-domain'],
    ['x.evil.corp.test', 'denied-domain'],
    ['localhost', 'not-allowed'],
    ['127.0.0.1', 'not-allowed'],
    ['[::1]', 'not-allowed'],
    ['::ffff:127.0.0.1', 'not-allowed'],
    ['2130706433', 'not-allowed'],
    ['0177.0.0.1', 'not-allowed'],
    ['', 'bad-host'],
    ['.', 'bad-host'],
    ['api.example.com..', 'bad-host'],
    ['.api.example.com', 'bad-host'],
    ['a..corp.test', 'bad-host'],
    ['api.example.com\n', 'bad-host'],
    ['api.example.com\0.evil.test', 'bad-host'],
    ['evil.test#.corp.test', 'bad-host'],
    ['evil.test/.corp.test', 'bad-host'],
    ['evil.test\\.corp.test', 'bad-host'],
    ['evil.test?.corp.test', 'bad-host'],
    ['user@api.example.com', 'bad-host'],
    ['api.example.com:80', 'bad-host'],
    ['api%2eexample.com', 'bad-host'],
    ['[::1%eth0]', 'bad-host'],
    ['fe80::1%eth0', 'bad-host'],
    ['1.2.3.4.5', 'bad-host'],
    ['256.1.1.1', 'bad-host'],
    ['x.0x', 'bad-host'],
    [`${'a'.repeat(64)}.corp.test`, 'bad-host'],
    [`${'a.'.repeat(140)}corp.test`, 'bad-host'],
  ])('%j is answered: %s', (name, expected) => {
    expect(host(name)).toBe(expected);
  });

  test.each([0, -1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'is refused on port %d',
    (port) => {
      expect(host('api.example.com', port)).toBe('bad-port');
    },
  );

  test('is refused without a network, and needs to be a name without rules', () => {
    expect(decideHost({ host: 'a.test', port: 80 }, 'none')).toMatchObject({
      reason: 'no-network',
    });
    expect(decideHost({ host: 'a.test', port: 80 }, 'unrestricted')).toMatchObject({
      effect: 'allow',
    });
    expect(decideHost({ host: 'a b', port: 80 }, 'unrestricted')).toMatchObject({
      reason: 'bad-host',
    });
  });

  test('that every pattern covers is not an address', () => {
    const all = { allowedDomains: ['*'], deniedDomains: [] };
    expect(decideHost({ host: 'any.test', port: 80 }, all)).toMatchObject({ effect: 'allow' });
    expect(decideHost({ host: '203.0.113.7', port: 80 }, all)).toMatchObject({
      reason: 'not-allowed',
    });
    expect(
      decideHost({ host: '203.0.113.7', port: 80 }, { ...all, allowedDomains: ['*.113.7'] }),
    ).toMatchObject({
      reason: 'not-allowed',
    });
  });

  test('has one canonical form, which is its own, and which a URL agrees with', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.webAuthority(), fc.string(), fc.domain(), fc.ipV4Extended(), fc.ipV6()),
        (text) => {
          const once = canonicalHost(text);
          if (once === null) return;
          expect(canonicalHost(once)).toBe(once);
          const bracketed = once.includes(':') ? `[${once}]` : once;
          expect(new URL(`http://${bracketed}/`).hostname).toBe(bracketed);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the addresses of a name', () => {
  test.each([
    '0.0.0.0',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '224.0.0.1',
    '255.255.255.255',
    '198.51.100.9',
    '::',
    '::1',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '192.88.99.1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  ])('may not be %s, alone or beside a good one', (address) => {
    for (const name of ['api.example.com', 'a.corp.test']) {
      expect(reach(name, [address])).toBe('forbidden-address');
      expect(reach(name, [address, '203.0.113.80'])).toBe('203.0.113.80');
    }
  });

  test.each(['8.8.8.8', '203.0.113.80', '2606:4700::1111', '2001:4860:4860::8888', '172.32.0.1'])(
    'may be %s',
    (address) => {
      expect(reach('api.example.com', [address])).toBe(address);
      expect(reach('any.test', [address], { allowedDomains: ['*'], deniedDomains: [] })).toBe(
        address,
      );
    },
  );

  test.each(['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', 'fd12:3456::1'])(
    'may be in a private network (%s) only for a name that the policy names',
    (address) => {
      expect(reach('a.corp.test', [address])).toBe(address);
      expect(reach('any.test', [address], { allowedDomains: ['*'], deniedDomains: [] })).toBe(
        'private-address',
      );
    },
  );

  test.each([[[]], [['']], [['localhost']], [['fe80::1%lo']], [['10.0.0.1/8']]])(
    'that are none (%j) lead nowhere',
    (addresses) => {
      expect(reach('a.corp.test', addresses)).toBe('not-resolved');
    },
  );

  test('are all open when the network is unrestricted, and none without a network', () => {
    const open = decideAddresses(
      { host: 'x', addresses: ['127.0.0.1'] },
      'unrestricted',
      FORBIDDEN,
    );
    expect(open).toMatchObject({ effect: 'allow' });
    const closed = decideAddresses({ host: 'x', addresses: ['10.0.0.1'] }, 'none', FORBIDDEN);
    expect(closed).toMatchObject({ effect: 'deny' });
  });
});
