import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type CommandResult, commandPlace, jsonLines } from '../fixtures/command-line.ts';
import { dryRunJson } from './json-schemas.ts';

const POLICY = `name: test
allowed_tools: [search, send]
rate_limits: { search: { max_calls: 2, window_seconds: 60 } }
pii_redaction: {}
`;

const call = (tool: string, args: object = {}, more: object = {}) =>
  JSON.stringify({ tool, args, ...more });

function place(calls: readonly string[], policy = POLICY, options = {}) {
  const files = {
    'p.yaml': policy,
    'old.yaml': 'name: old\nallowed_tools: [search, rm]\n',
    'calls.jsonl': calls.map((line) => `${line}\n`).join(''),
  };
  return commandPlace(files, options);
}

const parsed = ({ out }: CommandResult) => jsonLines(out).map((line) => dryRunJson.parse(line));

describe('dry-run', () => {
  const calls = [
    call('search', { q: 'ann@example.org' }),
    call('search'),
    call('search'),
    call('rm', { path: '/' }),
  ];

  test('says what would become of each call, with every reason, and what it comes to', async () => {
    const { code, out, err } = await place(calls).run(
      'dry-run',
      'p.yaml',
      '--calls',
      'calls.jsonl',
    );
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(`1: allow search, redacts email 1
2: allow search
3: deny search
  rate_limits.search: 2 of at most 2 are used within 60 s, the call needs 1
4: deny rm
  allowed_tools: tool \`rm\` is not in \`allowed_tools\`

4 calls: 2 allowed, 2 denied (50.0 %), 1 redacted

calls by rule
  1  allowed_tools
  1  rate_limits.search

redactions
  1  email

4 calls have no time: they are judged as if made one --interval apart
`);
  });

  test('prints JSON Lines of a fixed shape', async () => {
    const result = await place(calls).run('dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--json');
    const lines = parsed(result);
    expect(lines.map((line) => (line.type === 'call' ? line.verdict : line.type))).toEqual([
      'allow',
      'allow',
      'deny',
      'deny',
      'summary',
    ]);
    expect(lines.at(-1)).toMatchObject({ calls: 4, denied: 2, blockRate: 0.5, untimed: 4 });
  });

  test('takes times as milliseconds and as ISO 8601, and spaces calls that have none', async () => {
    const timed = [0, '1970-01-01T00:00:01Z', 59_999, 60_000].map((at) =>
      call('search', {}, { at }),
    );
    const lines = parsed(
      await place(timed).run('dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--json'),
    );
    expect(lines.map((line) => (line.type === 'call' ? [line.at, line.verdict] : []))).toEqual([
      [0, 'allow'],
      [1000, 'allow'],
      [59_999, 'deny'],
      [60_000, 'allow'],
      [],
    ]);
    const words = ['dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--interval', '30s', '--quiet'];
    const spaced = await place(Array(9).fill(call('search'))).run(...words);
    expect(spaced.out).toMatch(/^9 calls: 9 allowed, 0 denied \(0\.0 %\)/);
  });

  test('reads standard input, and a single call from its options', async () => {
    const stdin = `${calls.join('\n')}\n`;
    const piped = await place([], POLICY, { stdin }).run(
      'dry-run',
      'p.yaml',
      '--calls',
      '-',
      '--quiet',
    );
    expect(piped.out).toContain('4 calls');
    const words = ['dry-run', 'p.yaml', '--tool', 'send', '--args', '{"to":"ann@example.org"}'];
    const { out } = await place([]).run(...words);
    expect(out).toContain('1: allow send, redacts email 1\n');
  });

  test('stands under the floor of the operator', async () => {
    const at = place([call('search')]);
    writeFileSync(join(at.cwd, 'floor.yaml'), 'name: floor\ndenied_tools: [search]\n');
    writeFileSync(join(at.cwd, 'settings.yaml'), 'base_policy: floor.yaml\n');
    const words = ['dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--config', 'settings.yaml'];
    expect((await at.run(...words)).out).toContain('denied_tools: ');
  });

  test('counts and marks what a log-only policy lets through', async () => {
    const { out } = await place([call('rm')], `${POLICY}on_violation: log\n`).run(
      ...['dry-run', 'p.yaml', '--calls', 'calls.jsonl'],
    );
    expect(out).toContain('1: would-deny rm\n  allowed_tools: ');
    expect(out).toContain('1 calls: 1 allowed (1 would be denied), 0 denied');
  });
});

describe('dry-run --fail-on', () => {
  const log = `${POLICY}on_violation: log\n`;
  test.each<[string, string, string, readonly string[], number]>([
    ['denied', 'a denied call', POLICY, ['denied'], 1],
    ['blocked', 'a denied call', POLICY, ['blocked'], 1],
    ['wouldDeny', 'a denied call', POLICY, ['wouldDeny'], 0],
    ['wouldDeny', 'a call that is let through', log, ['wouldDeny'], 1],
    ['denied', 'a call that is let through', log, ['denied'], 0],
    ['both', 'a call that is let through', log, ['denied', 'wouldDeny'], 1],
  ])('%s, with %s', async (_what, _kind, policy, failOn, code) => {
    const flags = failOn.flatMap((what) => ['--fail-on', what]);
    const words = ['dry-run', 'p.yaml', '--calls', 'calls.jsonl', ...flags];
    expect((await place([call('rm')], policy).run(...words)).code).toBe(code);
  });

  test('changed, with another policy', async () => {
    const flags = ['--against', 'old.yaml', '--fail-on', 'changed'];
    const words = ['dry-run', 'p.yaml', '--calls', 'calls.jsonl', ...flags];
    expect((await place([call('search')]).run(...words)).code).toBe(0);
    expect((await place([call('rm')]).run(...words)).code).toBe(1);
  });
});

describe('dry-run --against', () => {
  test('prints only what is decided otherwise, and for which rules', async () => {
    const calls = ['search', 'send', 'rm', 'other', 'search', 'search'].map((tool) => call(tool));
    const words = ['dry-run', 'p.yaml', '--against', 'old.yaml', '--calls', 'calls.jsonl'];
    const { code, out } = await place(calls).run(...words);
    expect(code).toBe(0);
    expect(out.slice(0, out.indexOf('\n\n'))).toBe(`2: deny -> allow send
  - allowed_tools: tool \`send\` is not in \`allowed_tools\`
3: allow -> deny rm
  + allowed_tools: tool \`rm\` is not in \`allowed_tools\`
6: allow -> deny search
  + rate_limits.search: 2 of at most 2 are used within 60 s, the call needs 1`);
    expect(out).toContain('changes\n  2  allow -> deny\n  1  deny -> allow\n');
    expect(out).toContain('3 calls are decided otherwise\n');
    const json = parsed(await place(calls).run(...words, '--json'));
    expect(json).toHaveLength(4);
    expect(json[0]).toMatchObject({ line: 2, verdict: 'allow', before: { verdict: 'deny' } });
  });
});

describe('lines that are no calls', () => {
  const long = `{"tool":"search","args":{"q":"${'x'.repeat(17 * 2 ** 20)}"}}`;
  test.each<[string, string, string]>([
    ['no JSON', '{tool: search}', 'is not JSON'],
    ['a list', '[1]', 'must be an object'],
    ['null', 'null', 'must be an object'],
    ['no tool', '{"args":{}}', '`tool` is not valid'],
    ['a misspelt `args`', '{"tool":"search","arg":{}}', 'must have `args`'],
    ['a tool that is no text', '{"tool":{},"args":{}}', '`tool` is not valid'],
    [
      'a context that is none',
      call('search', {}, { context: { user: 1 } }),
      '`context` is not valid',
    ],
    ['a time that is none', call('search', {}, { at: '2026-99-99' }), '`at` is not valid'],
    ['a time that is text', call('search', {}, { at: 'now' }), '`at` is not valid'],
    ['a line without end', long, 'is longer than 16777216 bytes'],
  ])('%s: named with its number, the others judged, exit 2', async (_kind, line, problem) => {
    const calls = [call('search'), line, '', call('rm')];
    const { code, out, err } = await place(calls).run(
      'dry-run',
      'p.yaml',
      '--calls',
      'calls.jsonl',
    );
    expect(code).toBe(2);
    expect(err).toMatch(new RegExp(`^enforcecore: line 2: .*${problem.replace(/[`$]/g, '.')}`));
    expect(out).toContain('1: allow search\n4: deny rm\n');
    expect(out).toContain('1 lines are no calls');
  });

  test('are lines of JSON too, and none of their text is shown', async () => {
    const secret = ['hunter', '2'].join('');
    const calls = [`{"tool":"search","args":{},"at":"${secret}"}`, `${secret}`, call('search')];
    const result = await place(calls).run('dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--json');
    expect(parsed(result).map(({ type }) => type)).toEqual([
      'bad-line',
      'bad-line',
      'call',
      'summary',
    ]);
    expect(result.out + result.err).not.toContain(secret);
  });

  test('that are not UTF-8 do not spoil those after them', async () => {
    const stdin = Buffer.concat([Buffer.from([0xff, 0x0a]), Buffer.from(call('search'))]);
    const { code, out, err } = await place([], POLICY, { stdin }).run(
      ...['dry-run', 'p.yaml', '--calls', '-'],
    );
    expect({ code, err }).toEqual({ code: 2, err: 'enforcecore: line 1: is not UTF-8\n' });
    expect(out).toContain('2: allow search\n');
  });

  test('labels of a recording are named once and left alone', async () => {
    const calls = Array.from({ length: 3 }, (_, id) => call('send', {}, { id, label: 'x' }));
    const { code, err } = await place(calls).run('dry-run', 'p.yaml', '--calls', 'calls.jsonl');
    expect({ code, err }).toEqual({
      code: 0,
      err: 'enforcecore: keys that are not part of a call were left alone: id, label\n',
    });
  });
});

test.each<[string, readonly string[], string]>([
  ['no calls', ['dry-run', 'p.yaml'], 'give `--calls` with a file'],
  [
    'two kinds of calls',
    ['dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--tool', 'x'],
    'not both',
  ],
  ['a missing file', ['dry-run', 'p.yaml', '--calls', 'none.jsonl'], 'cannot be read (ENOENT)'],
  ['a folder', ['dry-run', 'p.yaml', '--calls', '.'], 'cannot be read (EISDIR)'],
  ['no policy', ['dry-run'], 'missing required argument `policy`'],
  ['a policy that is none', ['dry-run', 'calls.jsonl', '--calls', 'calls.jsonl'], 'the policy has'],
  [
    'another policy that is none',
    ['dry-run', 'p.yaml', '--against', 'x', '--calls', '-'],
    'the policy has',
  ],
  [
    'arguments that are no JSON',
    ['dry-run', 'p.yaml', '--tool', 'x', '--args', '{'],
    '`--args` must be JSON',
  ],
  [
    'a bad interval',
    ['dry-run', 'p.yaml', '--calls', '-', '--interval', 'x'],
    '`--interval` takes a duration',
  ],
  [
    'a bad reason to fail',
    ['dry-run', 'p.yaml', '--calls', '-', '--fail-on', 'x'],
    'it takes denied, blocked',
  ],
  [
    'a change from nothing',
    ['dry-run', 'p.yaml', '--calls', '-', '--fail-on', 'changed'],
    'needs `--against`',
  ],
])('%s is wrong usage', async (_kind, words, message) => {
  const { code, out, err } = await place([call('search')]).run(...words);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(message);
  expect(err).not.toContain('    at ');
});

test('what a recording holds is text on a terminal, never a command to it', async () => {
  const calls = [call('\u001b[31mred\u202e', {}, { '\u001b]0;x\u0007': 1 })];
  const { out, err } = await place(calls, POLICY, {
    isOutTerminal: true,
    env: { NO_COLOR: '1' },
  }).run(...['dry-run', 'p.yaml', '--calls', 'calls.jsonl']);
  expect((out + err).replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
});

test('stops when nobody reads any more', async () => {
  const calls = Array(5000).fill(call('send'));
  const { out } = await place(calls, POLICY, { readsMax: 10 }).run(
    ...['dry-run', 'p.yaml', '--calls', 'calls.jsonl'],
  );
  expect(out.match(/allow send/g)?.length).toBe(10);
});

describe.each([60, 120])('at %i columns', (columns) => {
  test('no line is wider, and each reason stays readable', async () => {
    const words = Array.from({ length: 30 }, (_, n) => `tool_${n}`);
    const policy = `name: x\nconditions: ['tool in ["${words.join('", "')}"]']\nallowed_tools: [a]\n`;
    const { out } = await place([call('send')], policy, { isOutTerminal: true, columns }).run(
      ...['dry-run', 'p.yaml', '--calls', 'calls.jsonl', '--against', 'old.yaml'],
    );
    const lines = stripVTControlCharacters(out).split('\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
  });
});
