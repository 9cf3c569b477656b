import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/call.ts';
import { type RunOptions, unwrap } from '../../src/enforce/index.ts';
import { loadSettings } from '../../src/settings.ts';
import { memoryStore, type StateStore } from '../../src/usage/index.ts';
import { tool } from '../fixtures/job.ts';
import { eventually, fileOf, isRunning } from '../fixtures/observe.ts';
import { openEnforcer, testFolder } from '../fixtures/open-enforcer.ts';

const EMAIL = 'ann@example.com';

/** Waits until a tool has written its file. */
const written = (file: string) =>
  eventually(() => existsSync(file) && readFileSync(file, 'utf8') !== '');

describe('every way a call can end has one decision entry and one outcome entry', () => {
  const limits = (section: object) => ({ resource_limits: section });
  const attack = (name: string) => ({ target: tool('write-channel.mjs'), args: { attack: name } });

  test.each<[string, object, { target?: unknown; args?: unknown; options?: RunOptions }, string]>([
    ['ok', {}, { target: tool('add.mjs'), args: { a: 1, b: 2 } }, 'ok'],
    ['ok', {}, { target: { command: ['echo', 'hi'] } }, 'ok'],
    ['ENF_DENIED_TOOL', { denied_tools: ['a*'] }, {}, 'denied'],
    ['ENF_DENIED_NOT_ALLOWED', { allowed_tools: ['other'] }, {}, 'denied'],
    ['ENF_CALL_TOOL_NAME', {}, { options: { tool: 'а_cyrillic' } }, 'denied'],
    ['ENF_CALL_ARGS', {}, { args: { a: 1n } }, 'denied'],
    [
      'ENF_CALL_ARGS_SIZE',
      limits({ max_input_size_bytes: 10 }),
      { args: 'x'.repeat(20) },
      'denied',
    ],
    ['ENF_CALL_ARGS_DEPTH', limits({ max_argument_depth: 1 }), { args: [[1]] }, 'denied'],
    ['ENF_CALL_TARGET', {}, { target: './nowhere.mjs' }, 'denied'],
    ['ENF_DENIED_CONCURRENCY', limits({ max_concurrent_calls: 0 }), {}, 'denied'],
    [
      'ENF_ISOLATION_UNAVAILABLE',
      { isolation: { level: 'process', require: ['no-such-layer'] } },
      {},
      'isolation-unavailable',
    ],
    ['ENF_TOOL_FAILED', {}, { target: tool('throws.mjs') }, 'tool-error'],
    ['ENF_TOOL_LOAD', {}, { target: tool('syntax-error.mjs') }, 'tool-error'],
    ['ENF_TOOL_EXPORT', {}, { target: { module: tool('add.mjs'), export: 'x' } }, 'tool-error'],
    [
      'ENF_TOOL_RESULT',
      {},
      { target: tool('returns-value.mjs'), args: { kind: 'cycle' } },
      'tool-error',
    ],
    ['ENF_LIMIT_WALL', {}, { target: tool('spin.mjs'), options: { timeoutMs: 300 } }, 'timeout'],
    [
      'ENF_LIMIT_OUTPUT',
      {},
      {
        target: tool('echo-args.mjs'),
        args: { text: 'x'.repeat(2000) },
        options: { outputBytes: 1000 },
      },
      'output-too-large',
    ],
    [
      'ENF_LIMIT_MEMORY',
      {},
      { target: tool('allocate-heap.mjs'), options: { memoryBytes: 40 * 2 ** 20 } },
      'out-of-memory',
    ],
    [
      'ENF_LIMIT_CPU',
      limits({ max_cpu_seconds: 0.2 }),
      { target: tool('burn-cpu.mjs') },
      'cpu-limit',
    ],
    [
      'ENF_LIMIT_PROCESSES',
      limits({ max_processes: 1 }),
      { target: { command: ['sh', '-c', 'sleep 5 & sleep 5 & sleep 5'] } },
      'process-limit',
    ],
    ['ENF_WORKER_CRASHED', {}, { target: tool('exit-early.mjs') }, 'crashed'],
    ['ENF_WORKER_CRASHED', {}, { target: { command: ['sh', '-c', 'kill -9 $$'] } }, 'crashed'],
    ['ENF_WORKER_PROTOCOL', {}, attack('garbage'), 'protocol-violation'],
    ['ENF_CALL_ABORTED', {}, { options: { signal: AbortSignal.abort() } }, 'aborted'],
    [
      'ENF_CALL_ABORTED',
      {},
      { target: tool('spin.mjs'), options: { signal: AbortSignal.timeout(200) } },
      'aborted',
    ],
  ])('%s', async (code, policy, { target = tool('add.mjs'), args = {}, options = {} }, status) => {
    const { enforcer, entries } = await openEnforcer(policy as Record<string, unknown>);
    const outcome = await enforcer.run(target as string, args, options);
    expect(outcome.status).toBe(status);
    if (outcome.status !== 'ok') expect(outcome.error.code).toBe(code);
    const [decision, ended, ...more] = entries();
    expect(more).toEqual([]);
    expect(decision).toMatchObject({ type: 'decision', call_id: outcome.callId });
    expect(decision?.['effect']).toBe(status === 'denied' ? 'deny' : 'allow');
    expect(ended).toMatchObject({ type: 'outcome', call_id: outcome.callId, status });
    if (outcome.status !== 'ok') expect(ended).toMatchObject({ error_code: code });
    expect(outcome.audit).toEqual({ seq: ended?.['seq'], entryHash: ended?.['entry_hash'] });
  });

  test('output-denied: a function that returns what redaction does not follow', async () => {
    const { enforcer } = await openEnforcer();
    const deep = () => {
      let value: unknown = 1;
      for (let level = 0; level < 1500; level += 1) value = [value];
      return value;
    };
    const call = enforcer.wrap('deep', deep, { trusted: ['isolation'] });
    await expect(call()).rejects.toMatchObject({ code: 'ENF_REDACTION_DEPTH' });
  });

  test('output-denied: a function that returns what redaction cannot read', async () => {
    const { enforcer, entries } = await openEnforcer();
    const call = enforcer.wrap('leak', () => new Promise((resolve) => resolve(() => 1)), {
      trusted: ['isolation'],
    });
    await expect(call()).rejects.toMatchObject({ code: 'ENF_REDACTION_UNREADABLE' });
    expect(entries().map(({ type, status }) => [type, status])).toEqual([
      ['decision', undefined],
      ['outcome', 'output-denied'],
    ]);
  });
});

describe('a call that never ran', () => {
  test('was not started: its tool had no effect', async () => {
    const { enforcer, folder } = await openEnforcer({ denied_tools: ['mark-and-wait'] });
    const file = join(folder, 'effect');
    await enforcer.run(tool('mark-and-wait.mjs'), { file });
    const signal = AbortSignal.abort(new Error('changed my mind'));
    const outcome = await enforcer.run(tool('mark-and-wait.mjs'), { file }, { tool: 'x', signal });
    expect(outcome).toMatchObject({ status: 'aborted', usage: { wallMs: 0 } });
    expect(outcome).toMatchObject({ error: { message: 'tool `x`: changed my mind' } });
    expect(existsSync(file)).toBe(false);
    const ran = await enforcer.run(
      tool('mark-and-wait.mjs'),
      { file },
      { tool: 'x', timeoutMs: 400 },
    );
    expect(['ok', 'timeout']).toContain(ran.status);
    expect(existsSync(file)).toBe(true);
  });

  test('holds nothing: the next one gets its slot', async () => {
    const { enforcer } = await openEnforcer({ resource_limits: { max_concurrent_calls: 1 } });
    for (const options of [{ signal: AbortSignal.abort() }, { isolation: 'thread' as never }]) {
      await enforcer.run(tool('add.mjs'), {}, options).catch(() => {});
    }
    expect((await enforcer.run(tool('add.mjs'), { a: 1, b: 1 })).status).toBe('ok');
  });
});

describe('redaction', () => {
  const both = { pii_redaction: { enabled: true, direction: 'both' } };

  test('covers arguments, result, stdout, stderr, error text and log lines', async () => {
    const { enforcer } = await openEnforcer(both);
    const logged: string[] = [];
    const outcome = await enforcer.run(
      tool('repeat-everywhere.mjs'),
      { text: EMAIL, fresh: ['bob', 'example.org'] },
      { onLog: (message) => logged.push(message) },
    );
    expect(JSON.stringify({ outcome, logged })).not.toMatch(/ann@|bob@/);
    expect(outcome).toMatchObject({
      status: 'ok',
      value: { seen: '<EMAIL>', made: '<EMAIL>' },
      stdout: '<EMAIL>\n',
      stderr: '<EMAIL>\n',
      redactions: { input: 1, output: 3, byCategory: { email: 4 } },
    });
    expect(logged).toEqual(['<EMAIL>']);
    const failed = await enforcer.run(tool('repeat-everywhere.mjs'), { fail: ['bob', 'b.org'] });
    expect(failed).toMatchObject({
      status: 'tool-error',
      error: { message: 'tool `repeat-everywhere`: Error: no <EMAIL>' },
    });
  });

  test.each([
    ['input', { seen: '<EMAIL>', made: 'bob@example.org' }],
    ['output', { seen: '<EMAIL>', made: '<EMAIL>' }],
  ])('in direction %s leaves the other alone', async (direction, value) => {
    const { enforcer } = await openEnforcer({ pii_redaction: { enabled: true, direction } });
    const args = { text: EMAIL, fresh: ['bob', 'example.org'], tell: 'length' };
    const outcome = await enforcer.run(tool('repeat-everywhere.mjs'), args);
    expect(outcome).toMatchObject({ status: 'ok', value });
    const sent = (unwrap(outcome) as { length: number }).length;
    expect(sent).toBe(direction === 'input' ? '<EMAIL>'.length : EMAIL.length);
  });

  test('holds a result to its limit after it grew', async () => {
    const { enforcer } = await openEnforcer(both);
    const args = { fresh: ['a', 'b.de'], repeat: 18 };
    const outcome = await enforcer.run(tool('repeat-everywhere.mjs'), args, { outputBytes: 150 });
    expect(outcome).toMatchObject({ status: 'output-too-large', limit: 'output' });
    expect(outcome).toMatchObject({
      error: { message: expect.stringContaining('redacted result') },
    });
  });

  test('of arguments that cannot be redacted is a denial', async () => {
    const { enforcer } = await openEnforcer({
      resource_limits: { max_input_size_bytes: 'unlimited' },
    });
    const args = Array.from({ length: 1_000_001 }, () => 0);
    const outcome = await enforcer.run(tool('add.mjs'), args);
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'ENF_REDACTION_SIZE' } });
  });

  test('reaches the trail: neither raw arguments nor results are in it', async () => {
    const { enforcer, entries } = await openEnforcer({ ...both, audit: { record: 'redacted' } });
    await enforcer.run(tool('echo-args.mjs'), { text: EMAIL, plain: 'kept' });
    const [decision, outcome] = entries();
    expect(decision).toMatchObject({ args: { text: '<EMAIL>', plain: 'kept' } });
    expect(outcome).toMatchObject({ result: { text: '<EMAIL>', plain: 'kept' } });
    expect(decision?.['args_digest']).not.toBe(decision?.['sent_digest']);
    const digests = await openEnforcer();
    await digests.enforcer.run(tool('echo-args.mjs'), { text: 'kept' });
    expect(JSON.stringify(digests.entries())).not.toContain('kept');
  });
});

describe('concurrency', () => {
  test('parallel calls beyond the limit are denied, and none later', async () => {
    const { enforcer, folder } = await openEnforcer({
      resource_limits: { max_concurrent_calls: 2 },
    });
    const stop = new AbortController();
    const files = [0, 1].map((n) => join(folder, `running-${n}`));
    const running = files.map((file) =>
      enforcer.run(tool('mark-and-wait.mjs'), { file }, { signal: stop.signal }),
    );
    await Promise.all(files.map(written));
    const extra = await Promise.all(
      [1, 2, 3].map(() => enforcer.run(tool('add.mjs'), { a: 1, b: 1 })),
    );
    expect(extra.map(({ status }) => status)).toEqual(['denied', 'denied', 'denied']);
    expect(extra[0]).toMatchObject({ error: { code: 'ENF_DENIED_CONCURRENCY' } });
    stop.abort();
    await Promise.all(running);
    expect((await enforcer.run(tool('add.mjs'), { a: 1, b: 1 })).status).toBe('ok');
  });

  test('calls that start in one tick count each other', async () => {
    const { enforcer } = await openEnforcer({ resource_limits: { max_concurrent_calls: 3 } });
    const ends = await Promise.all(
      Array.from({ length: 8 }, () => enforcer.run(tool('add.mjs'), { a: 1, b: 1 })),
    );
    const count = (status: string) => ends.filter((end) => end.status === status).length;
    expect(count('ok') + count('denied')).toBe(8);
    expect(count('ok')).toBeGreaterThanOrEqual(3);
    expect(count('denied')).toBeGreaterThan(0);
  });
});

describe('a store of counters that fails', () => {
  const failing = (method: keyof StateStore): StateStore => ({
    ...memoryStore(),
    [method]: async () => {
      throw new Error('the server with password hunter2 is gone');
    },
  });

  test('denies every call, with an entry', async () => {
    const { enforcer, entries } = await openEnforcer({}, { store: failing('reserve') });
    const outcome = await enforcer.run(tool('add.mjs'), { a: 1, b: 1 });
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'ENF_DENIED_RULE_FAILED' } });
    expect(JSON.stringify([outcome, entries()])).not.toContain('hunter2');
    expect(entries()).toHaveLength(2);
  });

  test.each(['settle', 'release'] as const)(
    'at the end (%s) keeps no outcome from being written',
    async (method) => {
      const { enforcer, entries } = await openEnforcer({}, { store: failing(method) });
      const options = method === 'release' ? { signal: AbortSignal.abort() } : {};
      const outcome = await enforcer.run(tool('add.mjs'), { a: 1, b: 1 }, options);
      expect(outcome.status).toBe(method === 'settle' ? 'ok' : 'aborted');
      expect(entries().map(({ type }) => type)).toEqual(['decision', 'outcome']);
    },
  );
});

describe('on_violation: log', () => {
  test('lets a denied tool run, and says so everywhere', async () => {
    const { enforcer, entries } = await openEnforcer({
      on_violation: 'log',
      denied_tools: ['add'],
    });
    const outcome = await enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
    expect(outcome).toMatchObject({ status: 'ok', value: 3, decision: { wouldDeny: true } });
    expect(entries()[0]).toMatchObject({ effect: 'allow', would_deny: true });
    expect(entries()[1]).toMatchObject({ would_deny: true });
  });

  test('lets nothing else through', async () => {
    const { enforcer } = await openEnforcer({ on_violation: 'log' });
    expect((await enforcer.run('./missing.mjs')).status).toBe('denied');
    enforcer.killSwitch.trip('stop');
    expect((await enforcer.run(tool('add.mjs'))).status).toBe('denied');
  });
});

describe('reload', () => {
  test('changes nothing for a call that is running, everything for the next', async () => {
    const { enforcer, folder } = await openEnforcer({ version: '1' });
    const file = join(folder, 'running');
    const stop = new AbortController();
    const running = enforcer.run(tool('mark-and-wait.mjs'), { file }, { signal: stop.signal });
    await written(file);
    await enforcer.reload({ name: 'test', version: '2', denied_tools: ['*'] });
    const next = await enforcer.run(tool('add.mjs'));
    stop.abort();
    expect((await running).decision.policy.version).toBe('1');
    expect(next).toMatchObject({ status: 'denied', decision: { policy: { version: '2' } } });
  });

  test('never mixes two versions in one call', async () => {
    const mail = (version: string, strategy: string) => ({
      name: 'test',
      version,
      isolation: { level: 'process' },
      pii_redaction: { enabled: true, strategy },
    });
    const { enforcer } = await openEnforcer(mail('placeholder', 'placeholder'));
    const calls: Promise<Outcome>[] = [];
    for (let n = 0; n < 6; n += 1) {
      calls.push(enforcer.run(tool('echo-args.mjs'), { text: EMAIL }));
      await enforcer.reload(
        n % 2 === 0 ? mail('mask', 'mask') : mail('placeholder', 'placeholder'),
      );
    }
    for (const outcome of await Promise.all(calls)) {
      const expected = outcome.decision.policy.version === 'mask' ? '****@****.***' : '<EMAIL>';
      expect(outcome).toMatchObject({ status: 'ok', value: { text: expected } });
    }
  });

  test('keeps the old policy when the new one is bad', async () => {
    const { enforcer } = await openEnforcer({ version: '1' });
    await expect(enforcer.reload({ name: 'test', alowed_tools: [] })).rejects.toMatchObject({
      code: 'ENF_POLICY_INVALID',
    });
    await expect(enforcer.reload('/nowhere/policy.yaml')).rejects.toMatchObject({
      code: 'ENF_POLICY_READ',
    });
    expect(enforcer.policy.version).toBe('1');
  });

  test('refuses a policy that requires a trail where audit is off', async () => {
    const { enforcer } = await openEnforcer({}, { audit: false });
    const strict = { name: 'strict', audit: { required: true } };
    await expect(enforcer.reload(strict)).rejects.toMatchObject({ code: 'ENF_AUDIT_REQUIRED' });
    expect(enforcer.policy.name).toBe('test');
  });

  test('ends with the policy that was asked for last', async () => {
    const { enforcer, folder } = await openEnforcer();
    const file = join(folder, 'slow.yaml');
    writeFileSync(file, `name: slow\nallowed_tools: [${'a, '.repeat(5000)}b]\n`);
    await Promise.all([enforcer.reload(file), enforcer.reload({ name: 'fast' })]);
    expect(enforcer.policy.name).toBe('fast');
  });
});

describe('the kill switch', () => {
  test('ends what runs, denies what comes, and is in the trail', async () => {
    const { enforcer, folder, entries } = await openEnforcer();
    const file = join(folder, 'spinning');
    const running = enforcer.run(tool('spin-and-trap.mjs'), { file });
    const [pid] = (await fileOf(file)) as [number];
    enforcer.killSwitch.trip('operator says stop');
    const outcome = await running;
    expect(outcome).toMatchObject({ status: 'killed', error: { code: 'ENF_CALL_KILLED' } });
    expect(isRunning(pid)).toBe(false);
    expect(await enforcer.run(tool('add.mjs'))).toMatchObject({
      status: 'denied',
      error: { code: 'ENF_DENIED_KILL_SWITCH', message: expect.stringContaining('operator') },
    });
    enforcer.killSwitch.reset('ann');
    expect((await enforcer.run(tool('add.mjs'), { a: 1, b: 1 })).status).toBe('ok');
    const switched = entries().filter(({ type }) => type === 'kill_switch');
    expect(switched.map(({ action, reason, actor }) => [action, reason, actor])).toEqual([
      ['trip', 'operator says stop', 'call'],
      ['reset', expect.any(String), 'ann'],
    ]);
  });

  test('stays tripped when its file cannot be removed', async () => {
    const stateDir = testFolder();
    mkdirSync(join(stateDir, 'KILL'));
    const auditPath = join(stateDir, 'trail');
    const settings = { ...(await loadSettings({ env: {}, cwd: stateDir })), auditPath, stateDir };
    const { enforcer } = await openEnforcer({}, { settings });
    expect(() => enforcer.killSwitch.reset('ann')).toThrow(
      expect.objectContaining({ code: 'ENF_KILL_FILE' }),
    );
    expect((await enforcer.run(tool('add.mjs'))).status).toBe('denied');
  });

  test('keeps a call from starting that was on its way', async () => {
    const { enforcer, folder } = await openEnforcer();
    const file = join(folder, 'never');
    const call = enforcer.run(tool('mark-and-wait.mjs'), { file });
    enforcer.killSwitch.trip('now');
    expect(['killed', 'denied']).toContain((await call).status);
    expect(existsSync(file)).toBe(false);
  });
});

describe('close', () => {
  test('waits for what runs, and refuses what comes meanwhile', async () => {
    const { enforcer } = await openEnforcer();
    const running = enforcer.run(tool('add.mjs'), { a: 1, b: 2 });
    const closing = enforcer.close({ graceMs: Number.POSITIVE_INFINITY });
    await expect(enforcer.run(tool('add.mjs'))).rejects.toMatchObject({ code: 'ENF_CALL_CLOSED' });
    await expect(enforcer.wrap('f', () => 1)()).rejects.toMatchObject({ code: 'ENF_CALL_CLOSED' });
    await closing;
    expect(await running).toMatchObject({ status: 'ok', value: 3 });
  });

  test('kills what outlasts its grace, with its outcome in the trail', async () => {
    const { enforcer, folder, entries } = await openEnforcer();
    const file = join(folder, 'spinning');
    const running = enforcer.run(tool('spin-and-trap.mjs'), { file });
    const [pid] = (await fileOf(file)) as [number];
    await enforcer.close({ graceMs: 50 });
    expect(isRunning(pid)).toBe(false);
    expect(await running).toMatchObject({ status: 'killed', audit: expect.anything() });
    expect(entries()).toHaveLength(2);
  });

  test('may be called twice, and by `await using`', async () => {
    const { enforcer } = await openEnforcer();
    await Promise.all([enforcer.close(), enforcer.close(), enforcer[Symbol.asyncDispose]()]);
    await enforcer.close();
  });

  test('by a function of its own call ends that call and not the program', async () => {
    const { enforcer } = await openEnforcer();
    const call = enforcer.wrap('closer', () => enforcer.close({ graceMs: 20 }), {
      trusted: ['isolation'],
    });
    await expect(call()).rejects.toMatchObject({ code: 'ENF_CALL_KILLED' });
  });

  test('closes the trail also when the store cannot be closed', async () => {
    const store = { ...memoryStore(), close: () => Promise.reject(new Error('store')) };
    const { enforcer, folder } = await openEnforcer({}, { store });
    await expect(enforcer.close()).rejects.toThrow('store');
    const again = await openEnforcer({}, { audit: { path: join(folder, 'trail') } });
    expect((await again.enforcer.run(tool('add.mjs'), { a: 1, b: 1 })).status).toBe('ok');
  });

  test.each([-1, Number.NaN, '5', null])('refuses a grace of %o', async (graceMs) => {
    const { enforcer } = await openEnforcer();
    await expect(enforcer.close({ graceMs: graceMs as number })).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
  });
});

describe('callbacks of the caller', () => {
  test.each<[string, RunOptions]>([
    [
      'throws',
      {
        onLog: () => {
          throw new Error('socket closed');
        },
      },
    ],
    [
      'rejects',
      {
        onLog: async () => {
          throw new Error('socket closed');
        },
      },
    ],
    [
      'throws nothing readable',
      {
        onProgress: () => {
          throw Object.create(null);
        },
      },
    ],
  ])('that %s end the call, and nothing else', async (_how, callbacks) => {
    const { enforcer, entries } = await openEnforcer();
    const outcome = await enforcer.run(tool('log-and-wait.mjs'), {}, callbacks);
    expect(outcome).toMatchObject({ status: 'aborted', error: { code: 'ENF_CALL_ABORTED' } });
    expect(outcome).toMatchObject({ error: { message: expect.stringContaining('threw') } });
    expect(entries()).toHaveLength(2);
  });

  test('that work get what the tool says', async () => {
    const { enforcer } = await openEnforcer();
    const seen: unknown[] = [];
    await enforcer.run(
      tool('report-progress.mjs'),
      {},
      { onLog: (line) => seen.push(line), onProgress: (...counts) => seen.push(counts) },
    );
    expect(seen).toEqual(['half way', [1, 2]]);
  });
});

describe('scopes and nesting', () => {
  test('give their context to the calls inside, the inner one winning', async () => {
    const { enforcer, entries } = await openEnforcer();
    await enforcer.scope({ context: { agent: 'a', tenant: 't' } }, (outer) =>
      outer.scope({ context: { session: 's', tenant: 'u' } }, (inner) =>
        inner.run(tool('add.mjs'), { a: 1, b: 1 }, { context: { agent: 'b' } }),
      ),
    );
    await enforcer.run(tool('add.mjs'), { a: 1, b: 1 });
    const contexts = entries()
      .filter(({ type }) => type === 'decision')
      .map(({ context }) => context);
    expect(contexts).toEqual([{ agent: 'b', session: 's', tenant: 'u' }, {}]);
  });

  test('give back what their body gives, and throw what it throws', async () => {
    const { enforcer } = await openEnforcer();
    expect(await enforcer.scope({}, () => 5)).toBe(5);
    await expect(
      enforcer.scope({}, () => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    await expect(
      enforcer.scope({ context: { agnet: 'x' } as never }, () => 1),
    ).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
  });

  test('a wrapped function inside a run inside a scope keeps the context', async () => {
    const { enforcer, entries } = await openEnforcer();
    const inner = enforcer.wrap('inner', () => 1, { trusted: ['isolation'] });
    const outer = enforcer.wrap('outer', async () => (await inner()) + 1, {
      trusted: ['isolation'],
    });
    expect(await enforcer.scope({ context: { session: 's' } }, () => outer())).toBe(2);
    const decisions = entries().filter(({ type }) => type === 'decision');
    expect(decisions.map((entry) => [entry['tool'], entry['context']])).toEqual([
      ['outer', { session: 's' }],
      ['inner', { session: 's' }],
    ]);
  });

  test('a function that calls itself without end is denied, not a stack overflow', async () => {
    const { enforcer } = await openEnforcer({
      resource_limits: { max_concurrent_calls: 'unlimited' },
    });
    let depth = 0;
    const again: () => Promise<number> = enforcer.wrap(
      'again',
      () => {
        depth += 1;
        return again();
      },
      { trusted: ['isolation'] },
    );
    await expect(again()).rejects.toMatchObject({
      message: expect.stringContaining('at most 16 deep'),
    });
    expect(depth).toBe(17);
  });
});

describe('misuse', () => {
  test.each<[string, unknown, unknown]>([
    ['no target', undefined, {}],
    ['a target that is null', null, {}],
    ['an empty command', { command: [] }, {}],
    ['options that are null', './x.mjs', null],
    ['a tool that is no text', './x.mjs', { tool: 5 }],
    ['a context that is a text', './x.mjs', { context: 'me' }],
    ['a context with an unknown key', './x.mjs', { context: { user: 'me' } }],
    ['a context with an object', './x.mjs', { context: { agent: { toString: () => 'a' } } }],
    ['a context of a megabyte', './x.mjs', { context: { agent: 'x'.repeat(2 ** 20) } }],
    ['a signal that is none', './x.mjs', { signal: { aborted: false } }],
    ['a callback that is none', './x.mjs', { onLog: 'print' }],
    ['an unknown option', './x.mjs', { timeoutms: 5 }],
  ])('of run throws: %s', async (_kind, target, options) => {
    const { enforcer, entries } = await openEnforcer();
    await expect(enforcer.run(target as string, {}, options as RunOptions)).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
    expect(entries()).toEqual([]);
  });

  test('of run throws: a looser limit', async () => {
    const { enforcer } = await openEnforcer();
    await expect(enforcer.run(tool('add.mjs'), {}, { timeoutMs: 10 ** 6 })).rejects.toMatchObject({
      code: 'ENF_CALL_LOOSER',
    });
  });

  test.each<[string, unknown, unknown]>([
    ['no function', undefined, {}],
    ['a misspelt trust', () => 1, { trusted: ['memroy'] }],
    ['a trust that every object has', () => 1, { trusted: ['constructor'] }],
    ['one trust as a text', () => 1, { trusted: 'memory' }],
    ['names that are the same', () => 1, { params: ['a', 'a'] }],
    ['a name that is no identifier', () => 1, { params: ['args[0]'] }],
    ['an unknown option', () => 1, { timeoutMs: 5 }],
  ])('of wrap throws: %s', async (_kind, fn, options) => {
    const { enforcer } = await openEnforcer();
    expect(() => enforcer.wrap('f', fn as () => number, options as object)).toThrow(
      expect.objectContaining({ code: 'ENF_CALL_ARGUMENT' }),
    );
  });
});

test('keeps nothing of its calls: their folders are gone', async () => {
  const { enforcer } = await openEnforcer();
  const outcome = await enforcer.run(tool('describe-process.mjs'));
  const { cwd, pid } = unwrap(outcome) as { cwd: string; pid: number };
  expect(existsSync(cwd)).toBe(false);
  expect(isRunning(pid)).toBe(false);
  expect(existsSync(testFolder())).toBe(true);
});
