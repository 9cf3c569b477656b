import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { fakeTerminal } from '../fixtures/fake-terminal.ts';
import { tool } from '../fixtures/job.ts';
import { eventually, fileOf, isRunning } from '../fixtures/observe.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';
import { entriesOf } from '../fixtures/trail.ts';

const POLICY = 'name: test\nisolation: { level: process }\n';

/** A folder with a policy, and a terminal in it. */
function place(more: Partial<Parameters<typeof fakeTerminal>[0]> = {}, policy = POLICY) {
  const cwd = testFolder();
  writeFileSync(join(cwd, 'policy.yaml'), policy);
  const env = { ENFORCECORE_AUDIT_PATH: join(cwd, 'trail'), ...more.env };
  return { cwd, trail: join(cwd, 'trail'), terminal: fakeTerminal({ ...more, cwd, env }) };
}

/** Runs a tool through the command line. */
async function cli(words: readonly string[], at = place()) {
  const code = await main(['run', '--policy', 'policy.yaml', ...words], at.terminal);
  return { ...at, code, ...at.terminal.written };
}

describe('run', () => {
  test.each<[string, readonly string[], string]>([
    ['a number', [tool('add.mjs'), '--args', '{"a":1,"b":2}'], '3\n'],
    ['an object as JSON', [tool('echo-args.mjs'), '--args', '{"a":[1]}'], '{"a":[1]}\n'],
    ['a text as it is', [tool('echo-args.mjs'), '--args', '"a\\u001b[1mb"'], 'a\u001b[1mb\n'],
    ['a text with its own newline', [tool('echo-args.mjs'), '--args', '"a\\n"'], 'a\n'],
    ['an empty text as an empty line', [tool('echo-args.mjs'), '--args', '""'], '\n'],
    ['null', [tool('echo-args.mjs'), '--args', 'null'], 'null\n'],
    ['nothing for undefined', [tool('returns-undefined.mjs')], ''],
    ['a named export', [tool('named.mjs'), '--export', 'double', '--set', 'n=4'], '8\n'],
    ['what a command printed', ['--', 'sh', '-c', 'echo text; echo noise >&2'], 'text\n'],
    ['JSON of a command', ['--', 'echo', '{"b": 1}'], '{"b":1}\n'],
  ])('prints %s on stdout and nothing else there', async (_kind, words, out) => {
    const result = await cli(words);
    expect(result).toMatchObject({ code: 0, out });
  });

  test('prints what the tool prints, logs and reports on stderr', async () => {
    const printed = await cli([tool('print-lines.mjs'), '--args', '{"out":"one","err":"two"}']);
    expect(printed).toMatchObject({ code: 0, out: 'done\n' });
    expect(printed.err).toContain('one\ntwo\n');
    const logged = await cli([tool('report-progress.mjs')]);
    expect(logged.err).toContain('half way\nprogress: 1 of 2\n');
  });

  test('shows control characters of a tool as text on a terminal', async () => {
    const at = place({ isOutTerminal: true });
    const value = JSON.stringify('\u001b[31m');
    expect((await cli([tool('echo-args.mjs'), '--args', value], at)).out).toBe('\\x1b[31m\n');
    const args = JSON.stringify({ out: '\u001b]0;x\u0007', err: '\r' });
    const { err } = await cli([tool('print-lines.mjs'), '--args', args]);
    expect(err.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test('begins its own message on a line of its own', async () => {
    const { err } = await cli(['--', 'sh', '-c', 'printf half; exit 3']);
    expect(err).toContain(
      'half\nenforcecore: tool-error: tool `sh`: the command exited with code 3\n',
    );
  });

  test('warns of what the tier does not enforce, once, and not when it is quiet', async () => {
    const loud = await cli([tool('add.mjs'), '--set', 'a=1', '--set', 'b=1']);
    expect(loud.err.match(/does not enforce/g)).toHaveLength(1);
    const quiet = await cli([
      tool('print-lines.mjs'),
      '--quiet',
      '--set',
      'out=1',
      '--set',
      'err=2',
    ]);
    expect(quiet).toMatchObject({ code: 0, out: 'done\n', err: '' });
  });

  test('prints the whole outcome with --json, of a failure too', async () => {
    const ok = await cli([tool('add.mjs'), '--json', '--args', '{"a":1,"b":2}']);
    expect(JSON.parse(ok.out)).toMatchObject({ status: 'ok', value: 3, tool: 'add' });
    const failed = await cli([tool('throws.mjs'), '--json']);
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.out)).toMatchObject({
      status: 'tool-error',
      error: { name: 'ToolError', code: 'ENF_TOOL_FAILED', message: expect.any(String) },
    });
  });

  test('says that the shipped policy applies where none is given', async () => {
    const at = place();
    const code = await main(['run', tool('add.mjs'), '--set', 'a=1', '--set', 'b=2'], at.terminal);
    expect({ code, out: at.terminal.written.out }).toEqual({ code: 0, out: '3\n' });
    expect(at.terminal.written.err).toContain('no --policy given: default.yaml applies');
  });

  test('writes the trail where it is told, or says that it writes none', async () => {
    const at = place();
    await cli([tool('add.mjs'), '--audit', 'elsewhere', '--set', 'a=1', '--set', 'b=1'], at);
    expect(entriesOf(join(at.cwd, 'elsewhere'))).toHaveLength(2);
    const off = await cli([tool('add.mjs'), '--no-audit', '--set', 'a=1', '--set', 'b=1']);
    expect(off.err).toContain('audit is off: this call leaves no record');
    expect(existsSync(off.trail)).toBe(false);
  });

  test('logs on stderr only when it is asked to', async () => {
    const at = place();
    const code = await main(
      [
        'run',
        tool('add.mjs'),
        '--verbose',
        '--policy',
        'policy.yaml',
        '--set',
        'a=1',
        '--set',
        'b=1',
      ],
      at.terminal,
    );
    expect({ code, out: at.terminal.written.out }).toEqual({ code: 0, out: '2\n' });
  });

  test('keeps rates for each agent, and what a session did for that session', async () => {
    const policy = `${POLICY}rate_limits: { add: { max_calls: 1, window_seconds: 3600 } }\n`;
    const at = place({}, policy);
    const add = [tool('add.mjs'), '--state', 'counters', '--set', 'a=1', '--set', 'b=1'];
    expect(
      (await cli([...add, '--agent', 'ann', '--session', 's', '--tenant', 't'], at)).code,
    ).toBe(0);
    expect(
      (await cli([...add, '--agent', 'ann', '--session', 'r', '--tenant', 't'], at)).code,
    ).toBe(3);
    expect((await cli([...add, '--agent', 'bob'], at)).code).toBe(0);
    expect(entriesOf(at.trail)[0]).toMatchObject({
      context: { agent: 'ann', session: 's', tenant: 't' },
    });
  });

  test('says in one line that this Node does not run TypeScript, or runs it', async () => {
    const at = place();
    const text = 'export default ({ n }: { n: number }): number => n * 2;\n';
    writeFileSync(join(at.cwd, 'double.ts'), text);
    const { code, out, err } = await cli(['double.ts', '--set', 'n=4'], at);
    const isRun = 'typescript' in process.features && process.features.typescript !== false;
    if (isRun) expect({ code, out }).toEqual({ code: 0, out: '8\n' });
    else {
      expect({ code, out, lines: err.trim().split('\n').length }).toEqual({
        code: 2,
        out: '',
        lines: 1,
      });
      expect(err).toContain('is TypeScript, which Node');
    }
  });

  test('is stopped by the kill file of its state', async () => {
    const at = place();
    writeFileSync(join(at.cwd, 'KILL'), 'maintenance\n');
    const { code, err } = await cli([tool('add.mjs'), '--state', '.'], at);
    expect(code).toBe(3);
    expect(err).toContain('the kill switch is tripped: maintenance');
  });

  describe('with sequence rules', () => {
    const rules = `${POLICY}sequence_rules:
  - { tool: pay, requires_prior: { tool: approve, within: 10m } }
  - { tool: post, forbid_after: { tool: read_secret } }
  - { tool: spend, sum: args.a, max: 10, within: 1h }
`;
    const call = async (at: ReturnType<typeof place>, name: string, ...words: string[]) => {
      const { terminal } = at;
      const run = ['run', tool('add.mjs'), '--name', name, '--policy', 'policy.yaml'];
      const args = ['--state', 'state', '--set', 'a=6', '--set', 'b=1'];
      return main([...run, ...args, ...words], terminal);
    };

    test('separate command lines share the session of a state folder', async () => {
      const at = place({}, rules);
      const session = ['--session', 's1'];
      expect(await call(at, 'pay', ...session)).toBe(3);
      expect(await call(at, 'approve', ...session)).toBe(0);
      expect(await call(at, 'pay', ...session)).toBe(0);
      expect(await call(at, 'pay', '--session', 's2')).toBe(3);
      expect(await call(at, 'pay', ...session, '--agent', 'a2')).toBe(3);
      expect(await call(at, 'pay', ...session, '--tenant', 't2')).toBe(3);
      expect(await call(at, 'post', ...session)).toBe(0);
      expect(await call(at, 'read_secret', ...session)).toBe(0);
      expect(await call(at, 'post', ...session)).toBe(3);
      expect(await call(at, 'spend', ...session)).toBe(0);
      expect(await call(at, 'spend', ...session)).toBe(3);
      expect(at.terminal.written.err).not.toContain('no --session');
    });

    test('says what is shared where no session is given', async () => {
      const at = place({}, rules);
      expect(await call(at, 'approve')).toBe(0);
      expect(at.terminal.written.err).toContain(
        'the policy has `sequence_rules` and no --session is given: such calls share one session',
      );
      expect(await call(at, 'pay')).toBe(0);
      expect(await call(at, 'pay', '--session', 's1')).toBe(3);
    });

    test('denies what asks for a history that cannot be read, with an entry', async () => {
      const at = place({}, rules);
      mkdirSync(join(at.cwd, 'state/counters'), { recursive: true });
      writeFileSync(join(at.cwd, 'state/counters/sessions'), 'no folder');
      expect(await call(at, 'add', '--session', 's1')).toBe(3);
      expect(at.terminal.written.err).toContain('what the session did before cannot be known');
      expect(entriesOf(at.trail)[0]).toMatchObject({ type: 'decision', effect: 'deny' });
    });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends the tool on %s and records it',
    async (signal) => {
      const at = place();
      const file = join(at.cwd, 'pid');
      const running = cli([tool('spin-and-trap.mjs'), '--set', `file=${file}`], at);
      const [pid] = (await fileOf(file)) as [number];
      at.terminal.interrupt(signal);
      at.terminal.interrupt('SIGTERM');
      const { code, err, out } = await running;
      expect({ code, out }).toEqual({ code: signal === 'SIGINT' ? 130 : 143, out: '' });
      expect(err).toContain(
        `enforcecore: aborted: tool \`spin-and-trap\`: interrupted by ${signal}\n`,
      );
      expect(isRunning(pid)).toBe(false);
      expect(entriesOf(at.trail)[1]).toMatchObject({ type: 'outcome', status: 'aborted' });
    },
  );
});

describe('what goes wrong is one clear line and the right exit code', () => {
  const add = tool('add.mjs');

  test.each<[string, readonly string[], number, string]>([
    ['a missing file', ['missing.mjs'], 2, 'denied: tool `missing`: the tool'],
    ['a folder', ['.', '--name', 'x'], 2, 'is not a regular file'],
    [
      'a syntax error',
      [tool('syntax-error.mjs')],
      1,
      'tool-error: tool `syntax-error`: SyntaxError',
    ],
    ['no export', [tool('no-function.mjs')], 1, 'it exports no function'],
    ['another export', [add, '--export', 'x'], 1, 'an export `x`'],
    ['a denied tool', [add, '--name', 'denied_tool'], 3, 'is in `denied_tools`'],
    [
      'a limit',
      [tool('spin.mjs'), '--timeout', '300ms'],
      4,
      'timeout: tool `spin`: the call ran longer',
    ],
    ['memory', [tool('allocate-heap.mjs'), '--memory', '40mb'], 4, 'out-of-memory'],
    [
      'a tier that is not there',
      [add, '--isolation', 'bogus'],
      2,
      'option `--isolation <tier>` argument `bogus` is invalid; it takes thread, process,',
    ],
    ['a weaker tier', [add, '--isolation', 'thread'], 2, 'options may only tighten'],
    ['a looser limit', [add, '--timeout', '10h'], 2, 'option `timeoutMs` is 36000000'],
    ['a bad duration', [add, '--timeout', 'soon'], 2, '`--timeout` takes a duration'],
    ['a bad size', [add, '--memory', 'lots'], 2, '`--memory` takes a size'],
    ['arguments that are no JSON', [add, '--args', '{a:1}'], 2, '`--args` must be JSON'],
    [
      'arguments that are no I-JSON',
      [add, '--args', '{"a":1e999}'],
      3,
      '`args.a` must be a JSON value',
    ],
    ['a missing arguments file', [add, '--args-file', 'x.json'], 2, 'cannot be read (ENOENT)'],
    ['no tool', [], 2, 'give the path of a tool'],
    ['a tool and a command', [add, '--', 'ls'], 2, 'not both'],
    ['an empty command', ['--'], 2, 'a command must follow'],
    ['an export of a command', ['--export', 'x', '--', 'ls'], 2, '`--export` is for modules'],
    ['an unknown command', ['--', 'no-such-program'], 2, 'not an executable file in PATH'],
    ['a trail that cannot be one', [add, '--audit', 'policy.yaml'], 6, 'cannot be opened'],
    ['a missing config', [add, '--config', 'x.yaml'], 2, 'x.yaml` cannot be read (ENOENT)'],
  ])('%s', async (_kind, words, code, message) => {
    const policy = `${POLICY}denied_tools: [denied_tool]\n`;
    const result = await cli(words, place({}, policy));
    expect({ code: result.code, out: result.out }).toEqual({ code, out: '' });
    const lines = result.err
      .trim()
      .split('\n')
      .filter((line) => !line.includes('does not enforce'));
    const own = lines.filter((line) => line.startsWith('enforcecore: '));
    expect(own).toHaveLength(1);
    expect(own[0]).toContain(message);
    expect(result.err).not.toMatch(/\n\s+at .*:\d+:\d+/);
  });

  test.each<[string, string, string]>([
    ['an unknown key', 'name: x\nalowed_tools: []\n', 'policy.yaml:2:1'],
    ['nothing in it', '', 'policy.yaml: is empty'],
    ['10 MB of it', `name: x\n# ${'x'.repeat(10 * 2 ** 20)}\n`, 'policy.yaml'],
    [
      'a YAML bomb',
      `a: &a [x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((key, at) => `${key}: &${key} [${`*${'abcdefg'[at]},`.repeat(8)}]`)
        .join('\n')}\n`,
      'policy.yaml',
    ],
    ['brackets without end', '['.repeat(100_000), 'policy.yaml'],
  ])('a policy with %s', async (_kind, policy, where) => {
    const began = performance.now();
    const { code, out, err, trail } = await cli([add], place({}, policy));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(where);
    expect(err.length).toBeLessThan(20_000);
    expect(err).not.toMatch(/\n\s+at .*:\d+:\d+/);
    expect(existsSync(trail)).toBe(false);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test('an error of our own prints its stack only with --verbose', async () => {
    const broken = { ...place().terminal, cwd: 5 as unknown as string };
    expect(await main(['run', 'x.mjs', '--args-file', 'y'], broken)).not.toBe(0);
    expect(broken.written.err).not.toContain('    at ');
    const verbose = { ...place().terminal, cwd: 5 as unknown as string };
    await main(['run', 'x.mjs', '--args-file', 'y', '--verbose'], verbose);
    expect(verbose.written.err).toContain('    at ');
  });

  test('output that cannot be written', async () => {
    const at = place();
    const terminal = {
      ...at.terminal,
      flush: () => Promise.reject(new Error('standard output cannot be written (ENOSPC)')),
    };
    const code = await main(
      ['run', '--policy', 'policy.yaml', add, '--set', 'a=1', '--set', 'b=1'],
      terminal,
    );
    expect(code).toBe(1);
    expect(terminal.written.err).toContain(
      'enforcecore: standard output cannot be written (ENOSPC)\n',
    );
  });
});

describe('the command line itself', () => {
  test.each<[readonly string[], number, string]>([
    [['--help'], 0, 'out'],
    [['run', '--help'], 0, 'out'],
    [['--version'], 0, 'out'],
    [[], 2, 'err'],
    [['frobnicate'], 2, 'err'],
    [['run', '--frobnicate'], 2, 'err'],
    [['run', '--policy'], 2, 'err'],
    [['verify'], 2, 'err'],
    [['verify', 'a', 'b'], 2, 'err'],
  ])('%j exits with %i and speaks on %s', async (words, code, stream) => {
    const { terminal } = place();
    expect(await main(words, terminal)).toBe(code);
    expect(terminal.written[stream as 'out' | 'err']).not.toBe('');
    expect(terminal.written[stream === 'out' ? 'err' : 'out']).toBe('');
  });

  test('suggests the command that was meant', async () => {
    const { terminal } = place();
    await main(['verfy', 'x'], terminal);
    expect(terminal.written.err).toContain('verify');
  });
});

describe('verify', () => {
  /** The text of a trail of one call. */
  async function freshTrail(): Promise<string> {
    const { trail } = await cli([tool('add.mjs'), '--set', 'a=1', '--set', 'b=1']);
    return readFileSync(join(trail, 'audit-000001.jsonl'), 'utf8');
  }

  /** A trail folder with this content. */
  function trailOf(text: string) {
    const at = place();
    const file = join(at.cwd, 'audit-000001.jsonl');
    writeFileSync(file, text);
    return { ...at, file };
  }

  test('finds an intact trail intact', async () => {
    const { terminal, cwd } = trailOf(await freshTrail());
    expect(await main(['verify', cwd], terminal)).toBe(0);
    expect(terminal.written.out).toMatch(
      /^intact \(chain\): 3 entries, head [0-9a-f]{64}\nunsigned: /,
    );
    expect(terminal.written.err).toBe('');
  });

  test.each<[string, (text: string) => string, number]>([
    ['a changed line', (text) => text.replace('"tool":"add"', '"tool":"sub"'), 1],
    ['a deleted line', (text) => text.split('\n').toSpliced(1, 1).join('\n'), 1],
    [
      'swapped lines',
      (text) => {
        const [a, b, c] = text.split('\n');
        return `${a}\n${c}\n${b}\n`;
      },
      1,
    ],
  ])('finds %s', async (_kind, change, code) => {
    const { terminal, cwd } = trailOf(change(await freshTrail()));
    expect(await main(['verify', cwd], terminal)).toBe(code);
    expect(terminal.written.out).toMatch(/^NOT INTACT \(chain\): /);
    expect(terminal.written.out).toContain('\nproblem: audit-000001.jsonl:');
  });

  test('cannot read what is not there', async () => {
    const { terminal } = place();
    expect(await main(['verify', 'nowhere'], terminal)).toBe(2);
    expect(terminal.written.out + terminal.written.err).toContain('nowhere');
  });

  test('prints its report as JSON', async () => {
    const { terminal, cwd } = trailOf(await freshTrail());
    expect(await main(['verify', cwd, '--json'], terminal)).toBe(0);
    expect(JSON.parse(terminal.written.out)).toMatchObject({ ok: true, entries: 3, problems: [] });
  });
});

describe('validate', () => {
  test('accepts a policy and names its digest', async () => {
    const { terminal } = place();
    expect(await main(['validate', 'policy.yaml'], terminal)).toBe(0);
    expect(terminal.written.out).toMatch(/^valid: policy `test`, digest [0-9a-f]{64}\n/);
  });

  test('lists every problem with its place', async () => {
    const { terminal } = place({}, 'name: x\nalowed_tools: []\nversion: [1]\n');
    expect(await main(['validate', 'policy.yaml'], terminal)).toBe(1);
    expect(terminal.written.err).toMatch(/policy.yaml:2:1.*\n(?: .*\n)+.*policy.yaml:3:/);
  });

  test('prints problems as JSON, and a valid policy too', async () => {
    const bad = place({}, 'nam: x\n').terminal;
    expect(await main(['validate', 'policy.yaml', '--json'], bad)).toBe(1);
    expect(JSON.parse(bad.written.out)).toMatchObject({
      ok: false,
      problems: [expect.anything(), expect.anything()],
    });
    const good = place().terminal;
    expect(await main(['validate', 'policy.yaml', '--json'], good)).toBe(0);
    expect(JSON.parse(good.written.out)).toMatchObject({ ok: true, name: 'test', problems: [] });
  });

  test('cannot read what is not there', async () => {
    const { terminal } = place();
    expect(await main(['validate', 'nowhere.yaml'], terminal)).toBe(2);
    expect(terminal.written.err).toContain('nowhere.yaml');
  });
});

test('waits for no one: nothing of a run is left listening', async () => {
  const before = process.listenerCount('SIGINT');
  await cli([tool('add.mjs'), '--set', 'a=1', '--set', 'b=1']);
  await eventually(() => process.listenerCount('SIGINT') === before);
});
