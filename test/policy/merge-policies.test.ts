import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PolicyError } from '../../src/errors.ts';
import { canonicalJson } from '../../src/policy/canonical-json.ts';
import {
  loadPolicy,
  mergePolicies,
  type PolicyDocument,
  type Problem,
} from '../../src/policy/index.ts';
import { mergeDocuments } from '../../src/policy/merge-documents.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chain-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function files(texts: Record<string, string>): void {
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

const load = (name: string, options: object = {}) => loadPolicy(name, { cwd: folder, ...options });

async function problemsOf(promise: Promise<unknown>): Promise<readonly Problem[]> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PolicyError))
    throw new Error(`expected a PolicyError, got ${String(error)}`);
  const { problems } = error.details;
  return problems as Problem[];
}

describe('extends', () => {
  test('keeps the base where the child says nothing, and the child where it says something', async () => {
    files({
      'base.yaml':
        'name: base\nversion: "3"\ndenied_tools: [rm]\nresource_limits: { max_memory_mb: 64 }\non_violation: log\n',
      'child.yaml': 'name: child\nextends: base.yaml\ndenied_tools: [sh]\non_violation: block\n',
    });
    const policy = await load('child.yaml');
    expect(policy.document).toEqual({
      name: 'child',
      version: '3',
      denied_tools: ['rm', 'sh'],
      resource_limits: { max_memory_mb: 64 },
      on_violation: 'block',
    });
    expect(policy.files).toEqual([join(folder, 'base.yaml'), join(folder, 'child.yaml')]);
    expect(policy.file).toBe(join(folder, 'child.yaml'));
  });

  test('is relative to the file that says it, also across folders and for paths inside', async () => {
    files({
      'org/shared/base.yaml': 'name: base\nfilesystem: { read: [data] }\n',
      'org/team/child.yaml':
        'name: child\nextends: ../shared/base.yaml\nfilesystem: { read: [data] }\n',
    });
    const { document } = await load('org/team/child.yaml');
    expect(document.filesystem?.read).toEqual([
      join(folder, 'org/shared/data'),
      join(folder, 'org/team/data'),
    ]);
  });

  test('works for a policy given as a value', async () => {
    files({ 'base.yaml': 'name: base\ndenied_tools: [rm]\n' });
    const policy = await loadPolicy({ name: 'x', extends: 'base.yaml' }, { cwd: folder });
    expect(policy.document.denied_tools).toEqual(['rm']);
  });

  test('reads a diamond once, and the order of the list decides', async () => {
    files({
      'root.yaml': 'name: root\non_violation: block\n',
      'a.yaml': 'name: a\nextends: root.yaml\non_violation: log\n',
      'b.yaml': 'name: b\nextends: root.yaml\nversion: b\n',
      'child.yaml': 'name: child\nextends: [a.yaml, b.yaml]\n',
    });
    const policy = await load('child.yaml');
    // `b` says nothing about violations: what `a` said must not be undone by the root again.
    expect(policy.document).toMatchObject({ on_violation: 'log', version: 'b' });
    expect(policy.files).toHaveLength(4);
  });

  test.each<[string, Record<string, string>, string]>([
    ['itself', { 'child.yaml': 'name: a\nextends: child.yaml\n' }, 'extends itself'],
    [
      'a circle',
      {
        'child.yaml': 'name: a\nextends: b.yaml\n',
        'b.yaml': 'name: b\nextends: c.yaml\n',
        'c.yaml': 'name: c\nextends: child.yaml\n',
      },
      'extends itself, over 3 files',
    ],
    ['nothing that exists', { 'child.yaml': 'name: a\nextends: gone.yaml\n' }, 'does not exist'],
    ['a folder', { 'child.yaml': 'name: a\nextends: .\n' }, 'is not a regular file'],
    ['a number', { 'child.yaml': 'name: a\nextends: 5\n' }, 'must be a file name'],
    ['an empty name', { 'child.yaml': 'name: a\nextends: ""\n' }, 'must be a file name'],
  ])('of %s is an error at that line', async (_, texts, message) => {
    files(texts);
    const problems = await problemsOf(load('child.yaml'));
    expect(problems[0]?.message).toContain(message);
    expect(problems[0]?.line).toBe(2);
  });

  test('finds a circle through a symbolic link', async () => {
    files({ 'child.yaml': 'name: a\nextends: link.yaml\n' });
    symlinkSync(join(folder, 'child.yaml'), join(folder, 'link.yaml'));
    expect((await problemsOf(load('child.yaml')))[0]?.message).toContain('extends itself');
  });

  test('reports the problems of every file of the chain, each in its file', async () => {
    files({
      'base.yaml': 'name: base\nalowed_tools: []\n',
      'child.yaml': 'name: 5\nextends: base.yaml\n',
    });
    const problems = await problemsOf(load('child.yaml'));
    expect(problems.map(({ file, line }) => [file.slice(folder.length + 1), line])).toEqual([
      ['base.yaml', 2],
      ['child.yaml', 1],
    ]);
  });

  test('stops at a chain of 32 files', async () => {
    const texts = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [
        `p${i}.yaml`,
        `name: p${i}\nextends: p${i + 1}.yaml\n`,
      ]),
    );
    files(texts);
    expect((await problemsOf(load('p0.yaml')))[0]?.message).toContain('more than 32 files');
  });
});

describe('merging', () => {
  const merged = async (base: object, child: object): Promise<PolicyDocument> => {
    const [one, other] = await Promise.all([
      loadPolicy({ name: 'base', ...base }),
      loadPolicy({ name: 'child', ...child }),
    ]);
    return mergePolicies(one, other).document;
  };

  test.each<[string, object, object, object]>([
    [
      'unites allow lists',
      { allowed_tools: ['a'] },
      { allowed_tools: ['b', 'a'] },
      { allowed_tools: ['a', 'b'] },
    ],
    [
      'keeps the tighter limit',
      { resource_limits: { max_memory_mb: 64, max_cpu_seconds: 9 } },
      { resource_limits: { max_memory_mb: 512, max_cpu_seconds: 3 } },
      { resource_limits: { max_memory_mb: 64, max_cpu_seconds: 3 } },
    ],
    [
      'does not let `unlimited` win',
      { resource_limits: { max_memory_mb: 64 } },
      { resource_limits: { max_memory_mb: 'unlimited' } },
      { resource_limits: { max_memory_mb: 64 } },
    ],
    [
      'keeps the higher tier',
      { isolation: { min: 'hardened', require: ['seccomp'] } },
      { isolation: { min: 'process', require: ['landlock'] } },
      { isolation: { min: 'hardened', require: ['seccomp', 'landlock'] } },
    ],
    [
      'merges maps deeply',
      { tools: { a: { args: { x: 'path' } } } },
      { tools: { a: { args: { y: 'sql' } }, b: {} } },
      { tools: { a: { args: { x: 'path', y: 'sql' } }, b: {} } },
    ],
    [
      'keeps both rate windows',
      { rate_limits: { a: { max_calls: 1, window_seconds: 1 } } },
      { rate_limits: { a: { max_calls: 9, window_seconds: 60 } } },
      {
        rate_limits: {
          a: [
            { max_calls: 1, window_seconds: 1 },
            { max_calls: 9, window_seconds: 60 },
          ],
        },
      },
    ],
    [
      'keeps both patterns of one name',
      { content_rules: { block_patterns: [{ name: 'p', pattern: 'a' }] } },
      { content_rules: { block_patterns: [{ name: 'q', pattern: 'b' }] } },
      {
        content_rules: {
          block_patterns: [
            { name: 'p', pattern: 'a' },
            { name: 'q', pattern: 'b' },
          ],
        },
      },
    ],
    [
      'keeps the higher cost',
      { cost: { a: 2 } },
      { cost: { a: 1, b: 3 } },
      { cost: { a: 2, b: 3 } },
    ],
    [
      'only adds conditions',
      { conditions: ['tool != "a"'] },
      { conditions: ['tool != "b"'] },
      { conditions: ['tool != "a"', 'tool != "b"'] },
    ],
    [
      'lets an override switch a section off',
      { pii_redaction: { strategy: 'mask' } },
      { pii_redaction: { enabled: false } },
      { pii_redaction: { strategy: 'mask', enabled: false } },
    ],
    [
      'takes the network mode of the override',
      { network: 'unrestricted' },
      { network: { allowed_domains: ['a.com'] } },
      { network: { allowed_domains: ['a.com'] } },
    ],
    [
      'unites denied domains',
      { network: { denied_domains: ['a.com'] } },
      { network: { denied_domains: ['b.com'] } },
      { network: { denied_domains: ['a.com', 'b.com'] } },
    ],
  ])('%s', async (_, base, child, expected) => {
    expect(await merged(base, child)).toEqual({ name: 'child', ...expected });
  });

  test('says which limit of the child had no effect', async () => {
    const base = await loadPolicy({ name: 'a', resource_limits: { max_memory_mb: 64 } });
    const child = await loadPolicy({ name: 'b', resource_limits: { max_memory_mb: 512 } });
    expect(mergePolicies(base, child).notes).toEqual([
      "`resource_limits.max_memory_mb` keeps the base's value: 512 is more than 64",
    ]);
  });

  test('refuses a conflict that only the two together have', async () => {
    const base = await loadPolicy({ name: 'a', environment: { pass: ['LANG'] } });
    const child = await loadPolicy({ name: 'b', environment: { set: { LANG: 'C' } } });
    expect(() => mergePolicies(base, child)).toThrow('`LANG` is in `pass` and in `set`');
  });

  test('takes loaded policies only', async () => {
    const base = await loadPolicy({ name: 'base' });
    for (const content of [{ name: 'child' }, null, 'child.yaml']) {
      const merge = () => mergePolicies(base, content as never);
      expect(merge).toThrow('`override` of mergePolicies must be a policy that loadPolicy gave');
    }
  });
});

const names = fc.constantFrom('a', 'b', 'c', 'fetch_*');
const limits = fc.record(
  {
    max_memory_mb: fc.oneof(fc.constant('unlimited' as const), fc.integer({ min: 1, max: 99 })),
    max_cpu_seconds: fc.integer({ min: 1, max: 9 }),
  },
  { requiredKeys: [] },
);
const documents: fc.Arbitrary<PolicyDocument> = fc.record(
  {
    name: fc.constantFrom('x', 'y', 'z'),
    allowed_tools: fc.uniqueArray(names),
    denied_tools: fc.uniqueArray(names),
    conditions: fc.uniqueArray(fc.constantFrom('true', 'tool != "a"')),
    pii_redaction: fc.record(
      {
        enabled: fc.boolean(),
        categories: fc.uniqueArray(fc.constantFrom('email' as const, 'phone' as const), {
          minLength: 1,
        }),
      },
      { requiredKeys: [] },
    ),
    resource_limits: limits,
    isolation: fc.record(
      {
        min: fc.constantFrom('thread' as const, 'hardened' as const),
        require: fc.uniqueArray(fc.constantFrom('landlock', 'seccomp')),
      },
      { requiredKeys: [] },
    ),
    network: fc.record(
      {
        denied_domains: fc.uniqueArray(fc.constantFrom('a.com', 'b.com')),
        deny_all_other: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    rate_limits: fc.dictionary(
      fc.constantFrom('a', 'global'),
      fc.record({ max_calls: fc.nat(3), window_seconds: fc.integer({ min: 1, max: 3 }) }),
    ),
    cost: fc.dictionary(names, fc.nat(5)),
    on_violation: fc.constantFrom('block' as const, 'log' as const),
  },
  { requiredKeys: ['name'] },
);

describe('laws', () => {
  test('a child that omits a section leaves it as it was', () => {
    fc.assert(
      fc.property(documents, documents, (base, child) => {
        const merged = mergeDocuments(base, child, 'merge') as unknown as Record<string, unknown>;
        return Object.entries(base).every(
          ([key, value]) => key in child || canonicalJson(merged[key]) === canonicalJson(value),
        );
      }),
    );
  });

  test('what denies only grows, what limits only tightens', () => {
    fc.assert(
      fc.property(documents, documents, (base, child) => {
        const merged = mergeDocuments(base, child, 'merge');
        for (const each of [base, child]) {
          for (const tool of each.denied_tools ?? []) expect(merged.denied_tools).toContain(tool);
          for (const condition of each.conditions ?? [])
            expect(merged.conditions).toContain(condition);
          for (const layer of each.isolation?.require ?? [])
            expect(merged.isolation?.require).toContain(layer);
          const bound = each.resource_limits?.max_memory_mb;
          if (typeof bound === 'number')
            expect(merged.resource_limits?.max_memory_mb).toBeLessThanOrEqual(bound);
          for (const [tool, cost] of Object.entries(each.cost ?? {}))
            expect(merged.cost?.[tool]).toBeGreaterThanOrEqual(cost);
        }
      }),
    );
  });

  test('merging is associative', () => {
    fc.assert(
      fc.property(documents, documents, documents, (a, b, c) => {
        const left = mergeDocuments(mergeDocuments(a, b, 'merge'), c, 'merge');
        const right = mergeDocuments(a, mergeDocuments(b, c, 'merge'), 'merge');
        expect(left).toEqual(right);
      }),
      { numRuns: 300 },
    );
  });

  test('a policy over itself is itself', () => {
    fc.assert(
      fc.property(documents, (document) => {
        expect(mergeDocuments(document, document, 'merge')).toEqual(document);
      }),
    );
  });
});

describe('inheritance: narrow', () => {
  const base = {
    name: 'floor',
    inheritance: 'narrow',
    allowed_tools: ['fetch_*', 'sum'],
    network: { allowed_domains: ['*.corp.com', 'api.com'], denied_domains: ['bad.corp.com'] },
    pii_redaction: {},
    secret_detection: {},
    content_rules: {},
    output_rules: {},
    redact_output: true,
    filesystem: { read: ['/srv/data'], write: ['/srv/out'] },
    environment: { pass: ['LANG'], set: { TZ: 'UTC' } },
    isolation: { level: 'hardened', min: 'hardened', profile: 'strict', exec: 'none', reuse: 2 },
    resource_limits: { max_memory_mb: 64, max_cost_usd: 1 },
    rate_limits: { sum: { max_calls: 1, window_seconds: 1 } },
    cost: { sum: 0.5 },
    audit: { required: true, record: 'redacted' },
    on_violation: 'block',
    custom_patterns: [{ name: 'emp', pattern: 'EMP' }],
    tools: {
      sum: {
        target: { path: '/srv/sum.js' },
        args: { x: 'path' },
        input_schema: { type: 'object' },
      },
    },
  };

  test.each<[string, object]>([
    ['allowed_tools', { allowed_tools: ['rm'] }],
    ['allowed_tools', { allowed_tools: ['f*'] }],
    ['allowed_tools', { allowed_tools: ['*'] }],
    ['network.allowed_domains', { network: { allowed_domains: ['evil.com'] } }],
    ['network.allowed_domains', { network: { allowed_domains: ['*.api.com'] } }],
    ['network.allowed_domains', { network: { allowed_domains: ['*.com'] } }],
    ['network.allowed_domains', { network: { deny_all_other: false } }],
    ['network.allowed_domains', { network: 'unrestricted' }],
    ['network.enabled', { network: { enabled: false } }],
    ['pii_redaction.enabled', { pii_redaction: { enabled: false } }],
    ['pii_redaction.categories', { pii_redaction: { categories: ['email'] } }],
    ['pii_redaction.direction', { pii_redaction: { direction: 'input' } }],
    ['pii_redaction.exempt', { pii_redaction: { exempt: ['args.to'] } }],
    ['secret_detection.enabled', { secret_detection: { enabled: false } }],
    ['secret_detection.categories', { secret_detection: { categories: ['ssh_private_key'] } }],
    ['content_rules.enabled', { content_rules: { enabled: false } }],
    ['content_rules.builtins', { content_rules: { builtins: ['sql_injection'] } }],
    ['output_rules.enabled', { output_rules: { enabled: false } }],
    ['output_rules.block_secrets', { output_rules: { block_secrets: false } }],
    ['redact_output', { redact_output: false }],
    ['filesystem.read', { filesystem: { read: ['/srv'] } }],
    ['filesystem.read', { filesystem: { read: ['/srv/data/../secret'] } }],
    ['filesystem.read', { filesystem: { read: ['/srv/database'] } }],
    ['filesystem.write', { filesystem: { write: ['/'] } }],
    ['filesystem.execute', { filesystem: { execute: ['/bin/sh'] } }],
    ['environment.pass', { environment: { pass: ['AWS_SECRET'] } }],
    ['environment.set.NODE_OPTIONS', { environment: { set: { NODE_OPTIONS: '--x' } } }],
    ['environment.set.TZ', { environment: { set: { TZ: 'CET' } } }],
    ['isolation.level', { isolation: { level: 'process' } }],
    ['isolation.min', { isolation: { min: 'thread' } }],
    ['isolation.profile', { isolation: { profile: 'compat' } }],
    ['isolation.exec', { isolation: { exec: 'any' } }],
    ['isolation.reuse', { isolation: { reuse: 3 } }],
    ['resource_limits.max_memory_mb', { resource_limits: { max_memory_mb: 65 } }],
    ['resource_limits.max_memory_mb', { resource_limits: { max_memory_mb: 'unlimited' } }],
    ['resource_limits.max_cost_usd', { resource_limits: { max_cost_usd: 2 } }],
    ['rate_limits.enabled', { rate_limits: { enabled: false } }],
    ['cost.sum', { cost: { sum: 0 } }],
    ['audit.required', { audit: { required: false } }],
    ['audit.record', { audit: { record: 'digests' } }],
    ['on_violation', { on_violation: 'log' }],
    ['custom_patterns.emp', { custom_patterns: [{ name: 'emp', pattern: 'NEVER' }] }],
    ['tools.sum.target', { tools: { sum: { target: { path: '/tmp/evil.js' } } } }],
    ['tools.sum.args.x', { tools: { sum: { args: { x: 'data' } } } }],
    ['tools.sum.input_schema', { tools: { sum: { input_schema: {} } } }],
  ])('a child cannot widen %s: %j', async (path, child) => {
    const problems = await problemsOf(loadPolicy({ name: 'child', ...child }, { base }));
    expect(problems.map((problem) => [problem.code, problem.path])).toContainEqual([
      'widens',
      path,
    ]);
  });

  test.each<[string, object]>([
    ['fewer tools', { allowed_tools: ['fetch_page'] }],
    ['a narrower glob', { allowed_tools: ['fetch_p*'] }],
    ['no tool', { allowed_tools: [] }],
    ['more denials', { denied_tools: ['sum'] }],
    ['a subdomain', { network: { allowed_domains: ['a.corp.com', '*.b.corp.com'] } }],
    ['no network', { network: { allowed_domains: [] } }],
    ['a folder inside', { filesystem: { read: ['/srv/data/a'], deny: ['/srv/data/a/b'] } }],
    ['a tighter limit', { resource_limits: { max_memory_mb: 1, max_cpu_seconds: 1 } }],
    ['a higher tier', { isolation: { level: 'isolated', min: 'isolated' } }],
    ['another strategy', { pii_redaction: { strategy: 'hash' } }],
    [
      'costs and tools that are named like methods',
      {
        cost: { constructor: 0 },
        tools: { toString: { args: { valueOf: 'path' } } },
        environment: { set: { TZ: 'UTC' } },
      },
    ],
    ['all of the same', base],
  ])('a child may say %s', async (_, child) => {
    const policy = await loadPolicy({ ...child, name: 'child' }, { base });
    expect(policy.name).toBe('child');
  });

  test("an allow list of a child replaces the floor's: narrowing means fewer", async () => {
    const policy = await loadPolicy({ name: 'child', allowed_tools: ['sum'] }, { base });
    expect(policy.document.allowed_tools).toEqual(['sum']);
  });

  test('a floor binds also when it does not say `narrow`, and cannot be opted out of', async () => {
    const floor = { name: 'floor', denied_tools: ['rm'], on_violation: 'block' };
    const policy = await loadPolicy({ name: 'c', inheritance: 'merge' }, { base: floor });
    expect(policy.document.denied_tools).toEqual(['rm']);
    const problems = await problemsOf(
      loadPolicy({ name: 'c', on_violation: 'log' }, { base: floor }),
    );
    expect(problems[0]).toMatchObject({ code: 'widens', path: 'on_violation' });
  });

  test('holds for grandchildren, and for siblings whatever the order of the list', async () => {
    files({
      'floor.yaml': 'name: floor\ninheritance: narrow\nallowed_tools: [a]\n',
      'wide.yaml': 'name: wide\nallowed_tools: [b]\n',
      'middle.yaml': 'name: middle\nextends: floor.yaml\n',
      'grandchild.yaml': 'name: g\nextends: middle.yaml\nallowed_tools: [b]\n',
      'siblings.yaml': 'name: s\nextends: [wide.yaml, middle.yaml]\n',
    });
    expect(await problemsOf(load('grandchild.yaml'))).toMatchObject([
      { code: 'widens', path: 'allowed_tools', file: join(folder, 'grandchild.yaml'), line: 3 },
    ]);
    expect(await problemsOf(load('siblings.yaml'))).toMatchObject([
      { code: 'widens', file: join(folder, 'wide.yaml'), line: 2 },
    ]);
  });
});
