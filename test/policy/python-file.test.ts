import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PolicyError } from '../../src/errors.ts';
import { loadPolicy, type Policy, type Problem } from '../../src/policy/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'python-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function load(text: string): Promise<Policy> {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  return loadPolicy(file);
}

async function problemsOf(text: string): Promise<readonly Problem[]> {
  const error: unknown = await load(text).catch((thrown: unknown) => thrown);
  if (!(error instanceof PolicyError)) throw new Error('the policy loaded');
  const { problems } = error.details;
  return problems as Problem[];
}

/** Every key of the Python schema that has an equivalent, as its own example files write it. */
const FULL = `
name: "hipaa"
version: "1.0"
on_violation: "redact"
rules:
  allowed_tools: ["search", "Lookup"]
  denied_tools: [shell]
  pii:
    enabled: true
    categories: [email, phone]
    strategy: regex
    ner_threshold: 0.8
    ner_fallback_to_regex: true
  resources:
    max_call_duration_seconds: 30.0
    max_memory_mb: 256
    max_cost_usd: 5.00
  network_policy:
    enabled: true
    allowed_domains: ["*.api.com"]
    denied_domains: ["bad.com"]
    deny_all_other: true
  content_rules:
    enabled: true
    block_patterns:
      - { name: no_prod, pattern: "prod-db", description: production, action: block, reason: x }
  rate_limits:
    enabled: true
    per_tool:
      search: { max_calls: 10 }
    global_limit: { window_seconds: 30 }
  sandbox:
    enabled: true
    strategy: subprocess
    max_memory_mb: 128
    max_cpu_seconds: 10
    allowed_env_vars: [PATH, LANG]
    working_directory: null
  sensitivity_labels: { enabled: false, default_clearance: internal }
  max_output_size_bytes: 1000
  redact_output: true
`;

test('every key with an equivalent is translated', async () => {
  const policy = await load(FULL);
  expect(policy.document).toEqual({
    name: 'hipaa',
    version: '1.0',
    on_violation: 'block',
    allowed_tools: ['search', 'Lookup'],
    denied_tools: ['shell'],
    pii_redaction: { enabled: true, categories: ['email', 'phone'], strategy: 'placeholder' },
    resource_limits: {
      max_call_duration_seconds: 10,
      max_memory_mb: 128,
      max_cost_usd: 5,
      max_output_size_bytes: 1000,
    },
    network: {
      enabled: true,
      allowed_domains: ['*.api.com'],
      denied_domains: ['bad.com'],
      deny_all_other: true,
    },
    content_rules: {
      enabled: true,
      block_patterns: [{ name: 'no_prod', pattern: 'prod-db', action: 'block' }],
    },
    rate_limits: {
      enabled: true,
      search: { max_calls: 10, window_seconds: 60 },
      global: { window_seconds: 30, max_calls: 1000 },
    },
    environment: { pass: ['PATH', 'LANG'] },
    redact_output: true,
  });
  expect(policy.notes).toEqual([
    '`sensitivity_labels` of the Python version is switched off and was left out',
  ]);
});

describe('a meaning that became stricter is a note', () => {
  test.each([
    ['network', 'rules: { network: { allowed_domains: [] } }'],
    ['content_rules', 'rules: { content_rules: {} }'],
    ['pii_redaction', 'rules: { pii_redaction: {} }'],
    ['rate_limits', 'rules: { rate_limits: { per_tool: {} } }'],
  ])('%s without `enabled`', async (key, rules) => {
    const { notes } = await load(`name: a\n${rules}\n`);
    expect(notes).toEqual([
      `\`${key}\` is on because it is present; the Python version needed \`enabled: true\``,
    ]);
  });

  test('a limit of 0, which meant none', async () => {
    const policy = await load('name: a\nrules: { resource_limits: { max_memory_mb: 0 } }\n');
    expect(policy.document.resource_limits).toEqual({});
    expect(policy.notes[0]).toContain('`resource_limits.max_memory_mb: 0` meant no limit there');
  });
});

describe('without an equivalent', () => {
  test.each<[string, string, number]>([
    ['sensitivity_labels', 'name: a\nrules:\n  sensitivity_labels: { enabled: true }\n', 3],
    ['sandbox.strategy', 'name: a\nrules:\n  sandbox:\n    enabled: true\n    strategy: wasm\n', 5],
    [
      'sandbox.working_directory',
      'name: a\nrules:\n  sandbox:\n    enabled: true\n    working_directory: /srv\n',
      5,
    ],
    ['pii_redaction.strategy', 'name: a\nrules:\n  pii:\n    strategy: ner\n', 4],
    [
      'pii_redaction.categories.passport',
      'name: a\nrules:\n  pii:\n    categories: [email, passport]\n',
      4,
    ],
  ])('%s that is on is a problem at its line', async (path, text, line) => {
    expect(await problemsOf(text)).toMatchObject([{ code: 'no-equivalent', path, line }]);
  });

  test.each([
    ['sandbox', 'rules: { sandbox: { enabled: false, strategy: wasm } }'],
    ['sandbox', 'rules: { sandbox: { strategy: wasm } }'],
    [
      'pii_redaction.categories.person_name',
      'rules: { pii: { enabled: false, categories: [email, person_name] } }',
    ],
  ])('%s that is off is a note', async (key, rules) => {
    const { notes } = await load(`name: a\n${rules}\n`);
    expect(notes.join()).toContain(`\`${key}\` of the Python version is switched off`);
  });
});

test('null stands for an absent key, as it did there', async () => {
  const policy = await load(
    'name: a\nrules:\n  allowed_tools: null\n  resource_limits: { max_cost_usd: null }\n',
  );
  expect(policy.document).toEqual({ name: 'a', resource_limits: {} });
});

test('an empty list of categories meant all of them', async () => {
  expect(
    (await load('name: a\nrules: { pii: { enabled: true, categories: [] } }\n')).document
      .pii_redaction,
  ).toEqual({ enabled: true });
});

test('a key under two names is a conflict, not a choice', async () => {
  const problems = await problemsOf('name: a\nrules:\n  pii: {}\n  pii_redaction: {}\n');
  expect(problems).toMatchObject([{ code: 'conflict', path: 'pii_redaction', line: 4 }]);
});

test('a typo inside `rules` is a problem at its line, with a suggestion', async () => {
  expect(await problemsOf('name: a\nrules:\n  alowed_tools: []\n')).toMatchObject([
    { code: 'unknown-key', line: 3, column: 3, suggestion: 'allowed_tools' },
  ]);
});

test.each(['rules: 5', 'rules: [a]', 'rules: text'])('`%s` is a problem', async (rules) => {
  expect((await problemsOf(`name: a\n${rules}\n`)).length).toBeGreaterThan(0);
});

test('a file of today is not touched: null is still a problem in it', async () => {
  expect((await problemsOf('name: a\nallowed_tools: null\n'))[0]).toMatchObject({
    code: 'wrong-type',
  });
});
