import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PolicyError } from '../../src/errors.ts';
import { loadPolicy, type Problem } from '../../src/policy/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'policy-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string | Buffer, name = 'policy.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function errorOf(source: string | object): Promise<PolicyError> {
  try {
    await loadPolicy(source);
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('the policy loaded');
}

async function problemsOf(source: string | object): Promise<readonly Problem[]> {
  const { problems } = (await errorOf(source)).details;
  return problems as Problem[];
}

describe('a good file', () => {
  test('keeps exactly what was written', async () => {
    const file = write(
      'name: web\nallowed_tools: [search_web]\nresource_limits:\n  max_memory_mb: 64\n',
    );
    const policy = await loadPolicy(file);
    expect(policy).toMatchObject({ name: 'web', file, files: [file], isDefault: false });
    expect(policy.document).toEqual({
      name: 'web',
      allowed_tools: ['search_web'],
      resource_limits: { max_memory_mb: 64 },
    });
    expect(policy.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('gives the same digest to the same rules in another order and another notation', async () => {
    const yaml = await loadPolicy(write('name: a\nversion: 1.0\ndenied_tools:\n  - x\n'));
    const flow = await loadPolicy(write('{ denied_tools: [x], version: "1.0", name: a }'));
    const value = await loadPolicy({ version: '1.0', name: 'a', denied_tools: ['x'] });
    expect(new Set([yaml.digest, flow.digest, value.digest]).size).toBe(1);
  });

  test('keeps an unquoted version as it was typed', async () => {
    expect((await loadPolicy(write('name: a\nversion: 1.10\n'))).version).toBe('1.10');
  });

  test('reads a file that starts with a byte order mark', async () => {
    expect((await loadPolicy(write('\uFEFFname: a\n'))).name).toBe('a');
  });

  test('is found relative to the given folder', async () => {
    write('name: here\n', 'here.yaml');
    expect((await loadPolicy('here.yaml', { cwd: folder })).name).toBe('here');
  });

  test('treats a section without keys as a mistake, not as an empty section', async () => {
    const [problem] = await problemsOf(write('name: a\nresource_limits:\n'));
    expect(problem).toMatchObject({
      code: 'wrong-type',
      path: 'resource_limits',
      line: 2,
      column: 1,
    });
  });
});

describe('a file that cannot be read', () => {
  test.each([
    ['missing', () => join(folder, 'nowhere.yaml'), 'does not exist'],
    ['a folder', () => folder, 'is not a regular file'],
    ['not UTF-8', () => write(Buffer.from([0x6e, 0xff, 0xfe])), 'is not UTF-8 text'],
    ['10 MB', () => write(Buffer.alloc(10_000_000, 0x61)), 'has 10000000 bytes'],
  ])('%s', async (_, fileOf, message) => {
    const file = fileOf();
    const error = await errorOf(file);
    expect(error.code).toBe('ENF_POLICY_READ');
    expect(error.message).toContain(`${file}: ${message}`);
  });

  test('a named pipe without a writer does not hang', async () => {
    const pipe = join(folder, 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    expect((await errorOf(pipe)).message).toContain('is not a regular file');
  });

  test('a device', async () => {
    expect((await errorOf('/dev/zero')).message).toContain('is not a regular file');
  });
});

describe('text that is not a policy', () => {
  test.each<[string, string, Partial<Problem>]>([
    ['an empty file', '', { code: 'empty' }],
    ['only comments', '# nothing\n', { code: 'empty' }],
    ['a list', '- a\n- b\n', { code: 'wrong-type', line: 1 }],
    ['plain text', 'hello\n', { code: 'wrong-type', line: 1 }],
    ['a duplicate key', 'name: a\nname: b\n', { code: 'duplicate-key', line: 2, column: 1 }],
    [
      'a duplicate key deep down',
      'name: a\naudit:\n  required: true\n  required: false\n',
      { code: 'duplicate-key', line: 4, column: 3 },
    ],
    ['a tab as indentation', 'name: a\naudit:\n\trequired: true\n', { code: 'syntax', line: 3 }],
    ['an open bracket', 'name: a\nallowed_tools: [x\n', { code: 'syntax' }],
    ['two documents', 'name: a\n---\nname: b\n', { code: 'unsupported-yaml' }],
    ['a custom tag', 'name: !!js/function "x"\n', { code: 'unsupported-yaml', line: 1 }],
    ['a key that is a list', '? [a, b]\n: c\nname: a\n', { code: 'unsupported-yaml', line: 1 }],
    ['an unknown alias', 'name: *nobody\n', { code: 'syntax', line: 1 }],
    [
      'a merge key',
      'base: &b { required: true }\nname: a\naudit:\n  <<: *b\n',
      { code: 'unknown-key' },
    ],
    [
      'a prototype key',
      'name: a\n__proto__: { denied_tools: [] }\n',
      { code: 'unknown-key', path: '__proto__', line: 2 },
    ],
    [
      'a prototype key in a map of names',
      'name: a\nenvironment: { set: { __proto__: x } }\n',
      { code: 'unknown-key', line: 2 },
    ],
    [
      'infinity',
      'name: a\nresource_limits: { max_memory_mb: .inf }\n',
      { code: 'wrong-type', line: 2 },
    ],
    [
      'not a number',
      'name: a\nresource_limits: { max_memory_mb: .nan }\n',
      { code: 'wrong-type', line: 2 },
    ],
  ])('%s', async (_, text, expected) => {
    const problems = await problemsOf(write(text));
    expect(
      problems.some((problem) =>
        Object.entries(expected).every(([key, value]) => problem[key as keyof Problem] === value),
      ),
      JSON.stringify(problems),
    ).toBe(true);
  });

  test('an alias bomb is refused without being unfolded', async () => {
    const rows = Array.from(
      { length: 20 },
      (_, i) => `x${i + 1}: &x${i + 1} [${Array(10).fill(`*x${i}`).join(', ')}]`,
    );
    const problems = await problemsOf(write(['x0: &x0 [a]', ...rows, 'name: bomb'].join('\n')));
    expect(problems.map(({ code }) => code)).toContain('too-complex');
  });

  test('an alias to itself is refused', async () => {
    const problems = await problemsOf(write('name: a\nallowed_tools: &a [*a]\n'));
    expect(problems.map(({ code }) => code)).toEqual(['too-complex']);
  });

  test.each([70, 1000, 1_000_000])('%i open brackets are refused', async (depth) => {
    const problems = await problemsOf(write(`name: ${'['.repeat(depth)}`));
    expect(problems.length).toBeGreaterThan(0);
  });
});

describe('every problem at once', () => {
  const text = [
    'name: broken',
    'allowed_tool: [a]',
    'resource_limits:',
    '  max_memory_mb: -5',
    '  max_cpu_second: 3',
    'pii_redaction:',
    '  categories: [emial]',
    'on_violation: blok',
    'max_processes: 3',
    'webhooks: {}',
    '',
  ].join('\n');

  test('with place, path, code and suggestion', async () => {
    const problems = await problemsOf(write(text));
    const rows = problems.map(({ line, column, path, code, suggestion }) => [
      line,
      column,
      path,
      code,
      suggestion,
    ]);
    expect(rows).toEqual([
      [2, 1, 'allowed_tool', 'unknown-key', 'allowed_tools'],
      [4, 3, 'resource_limits.max_memory_mb', 'out-of-range', undefined],
      [5, 3, 'resource_limits.max_cpu_second', 'unknown-key', 'max_cpu_seconds'],
      [7, 16, 'pii_redaction.categories[0]', 'invalid-value', 'email'],
      [8, 1, 'on_violation', 'invalid-value', 'block'],
      [9, 1, 'max_processes', 'unknown-key', 'resource_limits.max_processes'],
      [10, 1, 'webhooks', 'reserved-key', undefined],
    ]);
  });

  test('in a message that an editor can jump from', async () => {
    const file = write(text);
    const { code, message } = await errorOf(file);
    expect(code).toBe('ENF_POLICY_INVALID');
    expect(message).toContain('the policy has 7 problems:');
    expect(message).toContain(
      `${file}:2:1: \`allowed_tool\` is not a key here; did you mean \`allowed_tools\`?`,
    );
    expect(message).toContain(
      `${file}:4:3: \`resource_limits.max_memory_mb\` must be >= 1, got -5`,
    );
  });

  test('without control characters, which a key may hold', async () => {
    const { message } = await errorOf(write('name: a\n"\\e[2J\\nx": 1\n'));
    expect(message.split('\n')).toHaveLength(2);
    expect(message).not.toContain('\u001b');
  });

  test('but a flood of them is cut in the message, not in the details', async () => {
    const flood = Array.from({ length: 500 }, (_, index) => `key_${index}: 1`).join('\n');
    const error = await errorOf(write(flood));
    expect(error.message).toContain('and 451 more');
    const { problems } = error.details;
    expect(problems).toHaveLength(501);
  });
});

describe('a policy given as a value', () => {
  test('has problems without a place', async () => {
    const [problem] = await problemsOf({ name: 'a', allowedTools: [] });
    expect(problem).toMatchObject({
      file: '<object>',
      line: 0,
      path: 'allowedTools',
      suggestion: 'allowed_tools',
    });
  });

  test.each<[string, object]>([
    ['a function', { name: () => 'a' }],
    [
      'a cycle',
      (() => {
        const loop: Record<string, unknown> = { name: 'a' };
        Object.assign(loop, { audit: loop });
        return loop;
      })(),
    ],
    ['a BigInt', { name: 'a', resource_limits: { max_memory_mb: 5n } }],
    ['a sparse array', { name: 'a', allowed_tools: Object.assign(new Array(2), { 1: 'a' }) }],
    ['an array of 4 billion holes', { name: 'a', allowed_tools: new Array(4_000_000_000) }],
    ['an own __proto__ key', JSON.parse('{"name":"a","__proto__":{"x":1}}')],
    [
      'an instance without own keys',
      new (class Fake {
        get name() {
          return 'a';
        }
      })(),
    ],
  ])('%s is refused', async (_, value) => {
    expect((await problemsOf(value)).length).toBeGreaterThan(0);
  });

  test('is copied: later changes of the value change nothing', async () => {
    const value = { name: 'a', denied_tools: ['x'] };
    const policy = await loadPolicy(value);
    value.denied_tools.length = 0;
    expect(policy.document.denied_tools).toEqual(['x']);
  });

  test('is read once: a getter cannot show a second face', async () => {
    let reads = 0;
    const policy = await loadPolicy({
      name: 'a',
      get denied_tools() {
        reads += 1;
        return reads === 1 ? ['x'] : [];
      },
    });
    expect(policy.document.denied_tools).toEqual(['x']);
    expect(reads).toBe(1);
  });
});

test('refuses to grant a tool what lies below what another tool may write', async () => {
  const policy = (read: string) => ({
    name: 'shared',
    tools: {
      writer: { filesystem: { write: ['/srv/shared'] } },
      reader: { filesystem: { read: [read] } },
    },
  });
  const refused = loadPolicy(policy('/srv/shared/in'));
  await expect(refused).rejects.toThrow(
    '`/srv/shared/in` lies in `/srv/shared`, which another tool',
  );
  await expect(loadPolicy(policy('/srv/shared'))).resolves.toMatchObject({ name: 'shared' });
  await expect(loadPolicy(policy('/srv/shared-not'))).resolves.toMatchObject({ name: 'shared' });
});
