import { expect, test } from 'vitest';
import { idleRules } from '../../src/policy/idle-rules.ts';
import { loadPolicy } from '../../src/policy/index.ts';
import { formatPath } from '../../src/policy/problem.ts';

async function idleIn(document: object): Promise<string[]> {
  const policy = await loadPolicy({ name: 'test', ...document });
  return idleRules(policy.document).map(({ path, message }) => `${formatPath(path)}: ${message}`);
}

const schema = { type: 'object', properties: { url: { type: 'string' } } };

test.each<[string, object, readonly string[]]>([
  [
    'an allowed tool that is denied too',
    { allowed_tools: ['a', 'B_x', 'c'], denied_tools: ['A', 'b_*'] },
    [
      'allowed_tools[0]: `a` allows nothing: `A` is denied',
      'allowed_tools[1]: `B_x` allows nothing: `b_*` is denied',
    ],
  ],
  [
    'an allowed glob that lies in a denied one',
    { allowed_tools: ['fetch_page_*'], denied_tools: ['fetch_*'] },
    ['allowed_tools[0]: `fetch_page_*` allows nothing: `fetch_*` is denied'],
  ],
  [
    'a glob that another covers, and a name that stands twice',
    { allowed_tools: ['fetch_page', 'fetch_*', 'x', 'X'], denied_tools: ['*_y', 'z_y', 'q'] },
    [
      'allowed_tools[0]: `fetch_page` adds nothing: `fetch_*` covers it',
      'allowed_tools[3]: `X` adds nothing: `x` covers it',
      'denied_tools[1]: `z_y` adds nothing: `*_y` covers it',
    ],
  ],
  [
    'a section, a rate and a price of tools that no call reaches',
    {
      allowed_tools: ['a'],
      denied_tools: ['b'],
      tools: { b: { redact_output: true } },
      rate_limits: {
        global: { max_calls: 5, window_seconds: 1 },
        c: { max_calls: 5, window_seconds: 1 },
      },
      cost: { b: 1, a: 1 },
    },
    [
      'tools.b: no call of `b` gets here: it is denied by `b` in `denied_tools`',
      'rate_limits.c: no call of `c` gets here: it is not in `allowed_tools`',
      'cost.b: no call of `b` gets here: it is denied by `b` in `denied_tools`',
    ],
  ],
  [
    'sequence rules about tools that never run',
    {
      denied_tools: ['gone', 'old_*'],
      sequence_rules: [
        { tool: 'gone', requires_prior: { tool: 'a' } },
        { tool: 'send', requires_prior: { tool: 'gone' } },
        { tool: 'send', forbid_after: { tool: 'old_*' } },
        { tool: 'send', requires_prior: { tool: 'a' } },
      ],
    },
    [
      'sequence_rules[0].tool: no call of `gone` gets here: it is denied by `gone` in `denied_tools`',
      'sequence_rules[1].requires_prior.tool: `send` is never allowed: `gone` must run before, and it is denied by `gone` in `denied_tools`',
      'sequence_rules[2].forbid_after.tool: never forbids anything: `old_*` never runs, it is denied by `old_*` in `denied_tools`',
    ],
  ],
  [
    'domains that decide nothing',
    {
      network: {
        allowed_domains: ['api.x.org', '*.y.org', 'a.y.org'],
        denied_domains: ['x.org', 'b.x.org'],
      },
    },
    [
      'network.allowed_domains[0]: `api.x.org` allows nothing: `x.org` is denied',
      'network.allowed_domains[2]: `a.y.org` adds nothing: `*.y.org` covers it',
      'network.denied_domains[1]: `b.x.org` adds nothing: `x.org` covers it',
    ],
  ],
  [
    'allowed domains where every domain is',
    { network: { allowed_domains: ['x.org'], deny_all_other: false } },
    [
      'network.allowed_domains: decides nothing: `deny_all_other: false` allows every other domain too',
    ],
  ],
  [
    'conditions on arguments that no schema has',
    {
      conditions: ['args.uri == ""', 'args.url == "args.nothing"', '!has(args.extra)'],
      tools: {
        fetch: { input_schema: schema, conditions: ['args.ulr.startsWith("https://")'] },
      },
    },
    [
      'conditions[0]: no `input_schema` has `args.uri`',
      'tools.fetch.conditions[0]: `args.ulr` is not in the `input_schema` of `fetch`',
    ],
  ],
  [
    'sections that are switched off',
    {
      content_rules: { enabled: false, builtins: [] },
      rate_limits: { enabled: false, a: { max_calls: 1, window_seconds: 1 } },
    },
    [
      'content_rules: what it says has no effect: `enabled: false`',
      'rate_limits: what it says has no effect: `enabled: false`',
    ],
  ],
])('finds %s', async (_kind, document, found) => {
  expect(await idleIn(document)).toEqual(found);
});

test.each<[string, object]>([
  ['nothing', {}],
  ['globs that only overlap', { allowed_tools: ['a*', '*b'], denied_tools: ['a*b'] }],
  ['a section of an allowed glob', { allowed_tools: ['a_*'], tools: { A_x: {} } }],
  [
    'a rule about a glob of tools',
    { allowed_tools: ['a'], sequence_rules: [{ tool: '*', forbid_after: { tool: 'x*' } }] },
  ],
  [
    'a condition where a tool has no schema',
    { conditions: ['args.uri == ""'], tools: { a: { input_schema: schema }, b: {} } },
  ],
  [
    'a condition that asks first',
    { conditions: ['!has(args.uri) || args.uri == ""'], tools: { a: { input_schema: schema } } },
  ],
  ['a section that is only switched off', { content_rules: { enabled: false } }],
  ['a wildcard beside its own domain', { network: { allowed_domains: ['x.org', '*.x.org'] } }],
  ['tools named as object keys are', { allowed_tools: ['constructor'], cost: { constructor: 1 } }],
])('says nothing of %s', async (_kind, document) => {
  expect(await idleIn(document)).toEqual([]);
});
