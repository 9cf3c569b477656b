import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyTrail } from '../../src/audit/index.ts';
import { tool } from '../fixtures/job.ts';
import { eventually, fileOf, isRunning, runningInGroup } from '../fixtures/observe.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';
import { entriesOf } from '../fixtures/trail.ts';

const BIN = join(process.cwd(), 'bin/enforcecore.js');
let policy: string;
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cli-test-'));
  policy = join(root, 'policy.yaml');
  writeFileSync(policy, 'name: test\nisolation: { level: process }\n');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The real program, with a trail of its own. */
function start(words: readonly string[], stdio: 'pipe' | ['pipe', number, 'pipe'] = 'pipe') {
  const folder = testFolder();
  const trail = join(folder, 'trail');
  const env = { PATH: process.env['PATH'], HOME: folder, ENFORCECORE_AUDIT_PATH: trail };
  const child = spawn(process.execPath, [BIN, ...words], { cwd: folder, env, stdio });
  return { child, folder, trail };
}

async function ended(child: ChildProcess) {
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => {
    text.out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    text.err += chunk;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { ...text, code, signal };
}

const run = async (...words: readonly string[]) =>
  ended(start(['run', '--policy', policy, ...words]).child);

test('prints the value and nothing else on stdout', async () => {
  const file = join(root, 't.mjs');
  writeFileSync(file, 'export default async ({a,b}) => a+b\n');
  expect(await run(file, '--args', '{"a":1,"b":2}')).toMatchObject({ code: 0, out: '3\n' });
});

test('reads its arguments from standard input', async () => {
  const { child } = start(['run', '--policy', policy, tool('echo-args.mjs'), '--args', '-']);
  child.stdin?.end('{"from":"stdin"}');
  expect(await ended(child)).toMatchObject({ code: 0, out: '{"from":"stdin"}\n' });
});

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in the middle of a call', (signal, code) => {
  test.each(['a module', 'a command'])(
    'ends %s, writes the outcome, and exits as a shell expects',
    async (kind) => {
      const file = join(root, `${signal}-${kind.replace(' ', '-')}`);
      const script = `trap '' TERM INT; echo "[$$]" > ${file}; sleep 60; sleep 60`;
      const words =
        kind === 'a module'
          ? [tool('spin-and-trap.mjs'), '--set', `file=${file}`]
          : ['--', 'sh', '-c', script];
      const { child, trail } = start(['run', '--policy', policy, ...words]);
      const finished = ended(child);
      const [pid] = (await fileOf(file)) as [number];
      child.kill(signal);
      const result = await finished;
      expect(result).toMatchObject({ code, signal: null, out: '' });
      expect(result.err).toMatch(
        new RegExp(`^enforcecore: aborted: .*interrupted by ${signal}$`, 'm'),
      );
      expect(result.err).not.toContain('    at ');
      expect(isRunning(pid)).toBe(false);
      expect(runningInGroup(pid)).toEqual([]);
      expect(entriesOf(trail).map(({ type, status }) => [type, status])).toEqual([
        ['decision', undefined],
        ['outcome', 'aborted'],
      ]);
      expect(await verifyTrail(trail)).toMatchObject({ ok: true });
    },
  );
});

test('kill -9 of the supervisor leaves the decision as evidence', async () => {
  const file = join(root, 'killed');
  const { child, trail } = start([
    'run',
    '--policy',
    policy,
    tool('mark-and-wait.mjs'),
    '--set',
    `file=${file}`,
  ]);
  await eventually(() => existsSync(file));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(entriesOf(trail).map(({ type }) => type)).toEqual(['decision']);
  expect(await verifyTrail(trail)).toMatchObject({ ok: true });
});

test('kill ends a running call in another process, and lets none start until it is reset', async () => {
  const file = join(root, 'to-be-killed');
  const state = join(root, 'state');
  const words = ['run', '--policy', policy, '--state', state];
  const { child, trail } = start([...words, tool('spin-and-trap.mjs'), '--set', `file=${file}`]);
  const finished = ended(child);
  const [pid] = (await fileOf(file)) as [number];
  const kill = (...more: readonly string[]) =>
    ended(start(['kill', '--state', state, ...more]).child);
  expect(await kill('--reason', 'runaway agent')).toMatchObject({ code: 0, err: '' });
  const { code, err } = await finished;
  expect({ code, isRunning: isRunning(pid) }).toEqual({ code: 4, isRunning: false });
  expect(err).toContain('killed: tool `spin-and-trap`: kill switch: runaway agent');
  expect(entriesOf(trail).map(({ type, status }) => [type, status])).toContainEqual([
    'outcome',
    'killed',
  ]);
  const add = [tool('add.mjs'), '--set', 'a=1', '--set', 'b=1'];
  expect(await ended(start([...words, ...add]).child)).toMatchObject({ code: 3, out: '' });
  expect(await kill('--reset')).toMatchObject({ code: 0 });
  expect(await ended(start([...words, ...add]).child)).toMatchObject({ code: 0, out: '2\n' });
});

describe('a dry run', () => {
  const lines = (count: number) =>
    `${'{"tool":"a","args":{"q":"ann@example.org"}}\n'.repeat(count)}`;

  test('ends quietly when `head` has enough', () => {
    const calls = join(root, 'many.jsonl');
    writeFileSync(calls, lines(20_000));
    const script = `"$0" "$1" dry-run "$2" --calls "$3" | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const result = spawnSync('bash', ['-c', script, process.execPath, BIN, policy, calls], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: root },
    });
    expect({ out: result.stdout, err: result.stderr }).toEqual({
      out: '1: allow a, redacts email 1\n0\n',
      err: '',
    });
  });

  test('waits for a slow reader instead of keeping its output', async () => {
    const { child } = start(['dry-run', policy, '--calls', '-', '--json']);
    child.stdin?.on('error', () => {});
    child.stdin?.write(lines(50_000));
    // Nobody reads: the pipe is full, and the program must not go on taking its input.
    await once(child.stdout ?? child, 'readable');
    const taken = child.stdin?.writableLength ?? 0;
    expect(taken).toBeGreaterThan(1_000_000);
    child.stdin?.end();
    const { code, out } = await ended(child);
    expect({ code, lines: out.split('\n').length }).toEqual({ code: 0, lines: 50_002 });
  });
});

test('streams that are closed from the start are no crash', () => {
  const script = '"$0" "$1" validate "$2" <&- >&- 2>&-; echo $?';
  const result = spawnSync('sh', ['-c', script, process.execPath, BIN, policy], {
    encoding: 'utf8',
  });
  expect(result.stdout).toBe('0\n');
});

describe('a reader of stdout', () => {
  test('that goes away is no error', async () => {
    const { child } = start([
      'run',
      '--policy',
      policy,
      tool('repeat-text.mjs'),
      '--set',
      'times=100000',
    ]);
    child.stdout?.destroy();
    const { code, err } = await ended(child);
    expect({ code, own: err.includes('EPIPE') }).toEqual({ code: 0, own: false });
  });

  test.skipIf(!existsSync('/dev/full'))('that has no room is one, in one line', async () => {
    const result = spawnSync(
      'sh',
      [
        '-c',
        `"$0" "$@" > /dev/full`,
        process.execPath,
        BIN,
        'run',
        '--no-audit',
        '--policy',
        policy,
        tool('add.mjs'),
        '--set',
        'a=1',
        '--set',
        'b=1',
      ],
      { cwd: root, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: root } },
    );
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('enforcecore: standard output cannot be written (ENOSPC)\n');
    expect(result.stderr).not.toContain('    at ');
  });
});

/** A tmpfs of 128 KiB, where this process may make one. */
function smallDisk(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', folder]);
  if (status === 0) return folder;
  rmSync(folder, { recursive: true });
  return null;
}

const disk = smallDisk();
afterAll(() => {
  if (disk === null) return;
  execFileSync('umount', [disk]);
  rmSync(disk, { recursive: true });
});

describe.skipIf(disk === null)('a full disk below the trail', () => {
  /** Fills the disk up to its last page or beyond. */
  function fill(folder: string, pagesLeft: number): void {
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(Math.max(0, bavail - pagesLeft) * bsize));
  }

  test('before the call: nothing runs, exit 6, one line', async () => {
    const trail = join(disk ?? '', 'trail-before');
    mkdirSync(trail, { mode: 0o700 });
    fill(disk ?? '', 0);
    const file = join(root, 'never');
    const { code, err, out } = await run(
      '--audit',
      trail,
      tool('mark-and-wait.mjs'),
      '--set',
      `file=${file}`,
    );
    rmSync(join(disk ?? '', 'ballast'));
    expect({ code, out }).toEqual({ code: 6, out: '' });
    expect(err).toMatch(/^enforcecore: .*trail-before.*cannot be/m);
    expect(err).not.toContain('    at ');
    expect(existsSync(file)).toBe(false);
  });

  test('while the tool runs: the value is withheld, exit 6, and the trail stays whole', async () => {
    const trail = join(disk ?? '', 'trail-while');
    const first = await run('--audit', trail, tool('add.mjs'), '--set', 'a=1', '--set', 'b=1');
    expect(first.code).toBe(0);
    const ballast = join(disk ?? '', 'ballast');
    const recording = join(root, 'recording.yaml');
    writeFileSync(
      recording,
      `${readFileSync(policy, 'utf8')}audit: { record: redacted }
`,
    );
    const words = ['--audit', trail, tool('fill-disk.mjs'), '--set', `file=${ballast}`];
    const result = await ended(start(['run', '--policy', recording, ...words]).child);
    rmSync(ballast);
    expect(result).toMatchObject({ code: 6, out: '' });
    expect(result.err).toMatch(/^enforcecore: .*(did run|cannot be written)/m);
    expect(await verifyTrail(trail)).toMatchObject({ ok: true });
    expect(entriesOf(trail).map(({ type }) => type)).toEqual(['decision', 'outcome', 'decision']);
  });
});

test('an audit folder that may not be written is exit 6 and one line', async () => {
  // Below a file there can be no folder, for root neither.
  const { code, err, out } = await run('--audit', join(policy, 'trail'), tool('add.mjs'));
  expect({ code, out }).toEqual({ code: 6, out: '' });
  expect(
    err
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('enforcecore: ')),
  ).toHaveLength(1);
  expect(err).not.toContain('    at ');
});

test('an unknown variable of ours is named', async () => {
  const result = spawnSync(process.execPath, [BIN, 'run', tool('add.mjs')], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ENFORCECORE_AUDIT_PAHT: 'x' },
  });
  expect(result.status).toBe(2);
  expect(result.stderr).toContain('`ENFORCECORE_AUDIT_PAHT`: no such setting');
});

test('the program has two lines and no logic', () => {
  expect(readFileSync(BIN, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(6);
});
