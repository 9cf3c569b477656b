import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Json, TargetIdentity } from '../../src/call.ts';
import { compilePolicy, decide } from '../../src/gate/index.ts';
import { loadPolicy } from '../../src/policy/index.ts';
import { compiled, decideUnder, requestFor, rulesOf } from './requests.ts';

const SHA = 'a'.repeat(64);
const target = (rest: Partial<TargetIdentity> = {}): TargetIdentity => ({
  kind: 'module',
  path: resolve('/srv/sum.js'),
  sha256: SHA,
  ...rest,
});

describe('a pinned target', () => {
  const pinned = { tools: { sum: { target: { path: '/srv/sum.js', sha256: SHA } } } };

  test('is allowed when path and digest are as pinned', async () => {
    expect((await decideUnder(pinned, 'SUM', {}, { target: target() })).effect).toBe('allow');
  });

  test.each<[string, TargetIdentity | null]>([
    ['another digest', target({ sha256: 'b'.repeat(64) })],
    ['another path', target({ path: '/srv/other.js' })],
    ['no target', null],
    ['a function, which has no digest', { kind: 'function', path: 'sum' }],
  ])('is denied with %s, also under `on_violation: log`', async (_, found) => {
    const decision = await decideUnder(
      { ...pinned, on_violation: 'log' },
      'sum',
      {},
      { target: found },
    );
    expect(decision.effect).toBe('deny');
    expect(rulesOf(decision)).toEqual(['tools.sum.target']);
  });

  test('has a path relative to the policy', async () => {
    const policy = await loadPolicy(
      { name: 'p', tools: { sum: { target: { path: 'tools/sum.js' } } } },
      { cwd: '/srv' },
    );
    const allowed = decide(
      compilePolicy(policy),
      requestFor('sum', {}, { target: target({ path: '/srv/tools/sum.js' }) }),
    );
    expect(allowed.effect).toBe('allow');
  });
});

describe('conditions', () => {
  test('of the policy and of the tool must all hold', async () => {
    const document = {
      conditions: ['tool != "send_money" || args.amount < 500.0'],
      tools: { fetch: { conditions: ['args.url.startsWith("https://")'] } },
    };
    expect((await decideUnder(document, 'send_money', { amount: 499 })).effect).toBe('allow');
    expect(rulesOf(await decideUnder(document, 'send_money', { amount: 500 }))).toEqual([
      'conditions[0]',
    ]);
    expect((await decideUnder(document, 'fetch', { url: 'https://a' })).effect).toBe('allow');
    expect(rulesOf(await decideUnder(document, 'fetch', { url: 'http://a' }))).toEqual([
      'tools.fetch.conditions[0]',
    ]);
  });

  test('judge the arguments as they were given, not as they will be sent', async () => {
    const decision = await decideUnder(
      { conditions: ['args.to.endsWith("@corp.com")'] },
      'x',
      { to: 'a@corp.com' },
      { redactedArgs: { to: '<EMAIL>' } },
    );
    expect(decision.effect).toBe('allow');
  });

  test('that fail deny, without quoting the arguments', async () => {
    const decision = await decideUnder({ conditions: ['args.secret.startsWith("a")'] }, 'x', {
      secret: ['hunter2'],
    });
    expect(decision.reasons).toMatchObject([
      { rule: 'conditions[0]', code: 'ENF_DENIED_RULE_FAILED' },
    ]);
    expect(JSON.stringify(decision)).not.toContain('hunter2');
  });
});

describe('sections of a tool', () => {
  test('narrow those that hold for all', async () => {
    const policy = await compiled({
      resource_limits: { max_memory_mb: 128, max_cpu_seconds: 9 },
      network: { allowed_domains: ['*.corp.com'] },
      filesystem: { read: ['/srv'] },
      pii_redaction: { strategy: 'mask' },
      tools: {
        Fetch: {
          resource_limits: { max_memory_mb: 64 },
          network: { allowed_domains: ['api.corp.com'] },
          filesystem: { read: ['/srv/a'] },
          pii_redaction: { strategy: 'hash' },
          redact_output: false,
          args: { url: 'url' },
        },
      },
    });
    const rules = policy.rulesFor('fetch');
    expect(rules.confinement.limits).toMatchObject({ memoryBytes: 64 * 1_048_576, cpuMs: 9000 });
    expect(rules.confinement.network).toEqual({
      allowedDomains: ['api.corp.com'],
      deniedDomains: [],
    });
    expect(rules.confinement.filesystem.read).toEqual(['/srv/a']);
    expect(rules.redaction.pii_redaction.strategy).toBe('hash');
    expect(rules).toMatchObject({ redactOutput: false, argumentKinds: { url: 'url' } });
    expect(policy.rulesFor('other').confinement.network).toEqual({
      allowedDomains: ['*.corp.com'],
      deniedDomains: [],
    });
  });

  test('that widen are refused at load, with the key', async () => {
    const document = {
      name: 'p',
      network: { allowed_domains: ['a.com'] },
      tools: { x: { network: { allowed_domains: ['b.com'] } } },
    };
    await expect(loadPolicy(document)).rejects.toThrow(
      '`tools.x.network.allowed_domains` may only narrow `network.allowed_domains`: `b.com` is not allowed there',
    );
  });

  test('may set what the policy leaves to the defaults', async () => {
    const policy = await compiled({
      tools: { x: { resource_limits: { max_call_duration_seconds: 90 } } },
    });
    expect(policy.rulesFor('x').confinement.limits.wallMs).toBe(90_000);
    expect(policy.rulesFor('y').confinement.limits.wallMs).toBe(30_000);
  });
});

describe('the network of a confinement', () => {
  test.each<[unknown, unknown]>([
    ['none', 'none'],
    ['unrestricted', 'unrestricted'],
    [{}, 'none'],
    [{ enabled: false, allowed_domains: ['a.com'] }, 'none'],
    [{ deny_all_other: false, denied_domains: ['*'] }, 'none'],
    [{ deny_all_other: false }, { allowedDomains: ['*'], deniedDomains: [] }],
    [
      { allowed_domains: ['A.com'], denied_domains: ['*.b.com', 'c.com', '1.2.3.4'] },
      {
        allowedDomains: ['a.com'],
        deniedDomains: ['b.com', '*.b.com', 'c.com', '*.c.com', '1.2.3.4', '*.1.2.3.4'],
      },
    ],
  ])('%j → %j', async (network, expected) => {
    expect((await compiled({ network })).rulesFor('x').confinement.network).toEqual(expected);
  });
});

describe('input_schema', () => {
  const schema = {
    type: 'object',
    properties: {
      url: { type: 'string', pattern: '^https://', maxLength: 30 },
      count: { type: 'integer', minimum: 1, exclusiveMaximum: 5 },
      tags: { type: 'array', items: { enum: ['a', 'b'] }, uniqueItems: true, maxItems: 2 },
      either: { oneOf: [{ type: 'string' }, { type: 'number', multipleOf: 2 }] },
      tree: { $ref: '#/$defs/tree' },
      not: { not: { const: 'x' } },
      names: { propertyNames: { maxLength: 2 }, minProperties: 1 },
    },
    required: ['url'],
    additionalProperties: false,
    $defs: {
      tree: {
        type: 'object',
        properties: { child: { $ref: '#/$defs/tree' } },
        additionalProperties: false,
      },
    },
  };
  const url = 'https://a';

  test.each<[string, Json, string | null]>([
    [
      'fitting',
      {
        url,
        count: 4,
        tags: ['a', 'b'],
        either: 4,
        tree: { child: { child: {} } },
        not: 'y',
        names: { ab: 1 },
      },
      null,
    ],
    ['no object', 'x', '`args` must be object'],
    ['missing', {}, '`args.url` must be a value'],
    ['another type', { url: 5 }, '`args.url` must be string'],
    ['against the pattern', { url: 'http://a' }, '`args.url` must be the pattern'],
    ['too long', { url: `https://${'a'.repeat(40)}` }, '`args.url` must be maxLength 30'],
    ['one too many', { url, extra: 1 }, '`args.extra` must be nothing'],
    ['a prototype key', { url, ['__proto__']: 1 }, '`args.__proto__` must be nothing'],
    ['no integer', { url, count: 1.5 }, '`args.count` must be integer'],
    ['too small', { url, count: 0 }, '`args.count` must be minimum 1'],
    ['at the exclusive bound', { url, count: 5 }, '`args.count` must be exclusiveMaximum 5'],
    ['not listed', { url, tags: ['c'] }, '`args.tags[0]` must be one of the listed values'],
    ['repeated', { url, tags: ['a', 'a'] }, '`args.tags` must be items without repetition'],
    ['neither', { url, either: 3 }, '`args.either` must be exactly one alternative'],
    [
      'deep inside',
      { url, tree: { child: { child: { x: 1 } } } },
      '`args.tree.child.child.x` must be nothing',
    ],
    ['the forbidden value', { url, not: 'x' }, '`args.not` must be something else'],
    ['a long name', { url, names: { abc: 1 } }, '`args.names` must be other names'],
    ['empty', { url, names: {} }, '`args.names` must be minProperties 1'],
  ])('%s', async (_, args, message) => {
    const decision = await decideUnder({ tools: { x: { input_schema: schema } } }, 'x', args);
    expect(decision.reasons.map((reason) => reason.message)).toEqual(
      message === null ? [] : [message],
    );
  });

  test.each<[string, object, string]>([
    ['an unknown keyword', { typo: 1 }, 'tools.x.input_schema.typo'],
    ['an unknown type', { type: 'strnig' }, 'tools.x.input_schema.type'],
    ['a pattern that is not linear', { pattern: '(?=a)' }, 'tools.x.input_schema.pattern'],
    ['a reference to elsewhere', { $ref: 'https://evil.com/schema' }, 'tools.x.input_schema.$ref'],
    ['a reference to nothing', { $ref: '#/$defs/no' }, 'tools.x.input_schema.$ref'],
    [
      'a bad list',
      { properties: { a: { required: 'b' } } },
      'tools.x.input_schema.properties.a.required',
    ],
    ['no alternatives', { anyOf: [] }, 'tools.x.input_schema.anyOf'],
    ['a schema that is text', { items: 'x' }, 'tools.x.input_schema.items'],
    ['a bound that is text', { minimum: '1' }, 'tools.x.input_schema.minimum'],
    ['a list that is none', { enum: 'a' }, 'tools.x.input_schema.enum'],
    ['properties that are none', { properties: [] }, 'tools.x.input_schema.properties'],
    ['uniqueness that is none', { uniqueItems: 'x' }, 'tools.x.input_schema.uniqueItems'],
  ])('%s is refused at load', async (_, input_schema, path) => {
    const error: unknown = await loadPolicy({ name: 'p', tools: { x: { input_schema } } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ details: { problems: [{ path }] } });
  });

  test('alternatives that refer to themselves end in a denial, not in a hang', async () => {
    const bomb = {
      $ref: '#/$defs/a',
      $defs: {
        a: {
          anyOf: [
            { items: { $ref: '#/$defs/a' }, minItems: 99 },
            { items: { $ref: '#/$defs/a' }, minItems: 98 },
          ],
        },
      },
    };
    let deep: Json = [];
    for (let level = 0; level < 60; level++) deep = [deep];
    const decision = await decideUnder({ tools: { x: { input_schema: bomb } } }, 'x', deep);
    expect(decision.reasons).toMatchObject([{ code: 'ENF_DENIED_RULE_FAILED' }]);
  });

  test('`format` is noted as not checked', async () => {
    const policy = await loadPolicy({
      name: 'p',
      tools: { x: { input_schema: { format: 'uri' } } },
    });
    expect(policy.notes).toEqual([
      '`tools.x.input_schema`: `format` is an annotation and is not checked',
    ]);
  });
});

describe('custom rules', () => {
  const under = async (check: () => unknown) => {
    const policy = await loadPolicy({ name: 'p', on_violation: 'log' });
    const rules = [{ id: 'mine', check: check as () => true }];
    return decide(compilePolicy(policy, { rules }), requestFor('x', { a: 1 }));
  };

  test('allow with true, deny with a reason', async () => {
    expect((await under(() => true)).effect).toBe('allow');
    expect((await under(() => 'not today')).reasons).toEqual([
      { rule: 'rules.mine', code: 'ENF_DENIED_RULE', message: 'not today' },
    ]);
  });

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('x');
      },
    ],
    [
      'throws nothing',
      () => {
        throw undefined;
      },
    ],
    ['answers undefined', () => undefined],
    ['answers false', () => false],
    ['answers 1', () => 1],
    ['answers a promise of true', async () => true],
  ])('a rule that %s denies', async (_, check) => {
    expect(await under(check)).toMatchObject({
      effect: 'deny',
      reasons: [{ rule: 'rules.mine', code: 'ENF_DENIED_RULE_FAILED' }],
    });
  });
});
