import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { exportedEntryJsonSchema, openTrail } from '../../src/audit/index.ts';
import { inspect } from '../../src/cli/inspect.ts';
import { main } from '../../src/cli/main.ts';
import { decision, firstSegment, outcome, scratchPath } from '../audit/sample-trail.ts';
import { type FakeTerminal, fakeTerminal } from '../fixtures/fake-terminal.ts';

const HOSTILE = 'send_\u001b[31mmail\u202e\r\n\u0007\u009b2J';

/** A trail of every kind of row: entries 0 to 9. */
async function sampleTrail(clock?: () => Date): Promise<string> {
  const path = scratchPath();
  const trail = await openTrail({
    path,
    compress: false,
    ...(clock === undefined ? {} : { clock }),
  });
  const policy = { name: 'p', digest: 'd' };
  const reason = { rule: 'denied_tools', code: 'ENF_DENIED_TOOL', message: HOSTILE } as const;
  await trail.append(decision('call-ok'));
  await trail.append(outcome('call-ok'));
  await trail.append(
    decision('call-no', {
      tool: HOSTILE,
      decision: { effect: 'deny', reasons: [reason], wouldDeny: false, policy },
      context: { agent: 'a2', session: 's2', tenant: 't2' },
    }),
  );
  await trail.append(
    decision('call-slow', {
      tool: 'slow',
      decision: { effect: 'allow', reasons: [reason], wouldDeny: true, policy },
    }),
  );
  const egress = { host: 'h.example', port: 443, bytesIn: 0, bytesOut: 0, effect: 'deny' } as const;
  await trail.append({ type: 'egress', callId: 'call-slow', ...egress, reason: 'not allowed' });
  await trail.append(
    outcome('call-slow', { status: 'timeout', errorCode: 'ENF_LIMIT_WALL', limit: 'wall' }),
  );
  await trail.append({ type: 'kill_switch', action: 'trip', reason: 'smoke', actor: 'ops' });
  await trail.append(outcome('call-unknown', { resultDigest: null }));
  await trail.append(decision('call-huge', { tool: 'x'.repeat(70_000) }));
  await trail.close();
  return path;
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(words: readonly string[], given: Partial<FakeTerminal> = {}): Promise<Run> {
  const terminal = { ...fakeTerminal({ cwd: '/' }), ...given };
  const code = await main(['inspect', ...words], terminal);
  return { code, ...terminal.written };
}

const seqsOf = (out: string): number[] =>
  out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { seq: number }).seq);

async function seqs(path: string, ...filters: string[]): Promise<number[]> {
  const words = filters.flatMap((filter) => ['--filter', filter]);
  const { code, out } = await run([path, '--json', ...words]);
  expect(code).toBe(0);
  return seqsOf(out);
}

describe('filters', () => {
  test.each<[readonly string[], readonly number[]]>([
    [[], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [['decision=denied'], [3, 5]],
    [['decision=blocked'], [3, 5]],
    [['decision=allowed'], [1, 2, 4, 6, 9]],
    [['decision=would-deny'], [4, 6]],
    [['tool=slow'], [4, 5, 6]],
    [['tool=slow', 'status=timeout'], [6]],
    [
      ['tool=slow', 'tool=fetch_page'],
      [1, 2, 4, 5, 6],
    ],
    [['status=timeout'], [6]],
    [['agent=a2'], [3]],
    [['session=s2', 'tenant=t2'], [3]],
    [['session=s2', 'tenant=other'], []],
    [['call=call-s'], [4, 5, 6]],
    [['type=kill_switch'], [7]],
    [['since=1h'], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [['until=2020-01-01'], []],
    [['since=2099-01-01T00:00:00+01:00'], []],
    [['tool=constructor'], []],
  ])('%j show entries %j', async (filters, expected) => {
    expect(await seqs(await sampleTrail(), ...filters)).toEqual(expected);
  });

  test('since and until count back from now', async () => {
    const start = Date.parse('2026-01-01T00:00:00Z');
    let minutes = -1;
    const clock = () => {
      minutes += 1;
      return new Date(start + 60_000 * minutes);
    };
    const path = await sampleTrail(clock);
    const now = start + 60_000 * minutes;
    const terminal = fakeTerminal({ cwd: '/' });
    const flags = { filter: ['since=3m', 'until=1m'], json: true };
    expect(await inspect(path, flags, terminal, () => now)).toBe(0);
    const entries = terminal.written.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.length).toBeGreaterThan(0);
    for (const { ts } of entries) {
      expect(Date.parse(ts)).toBeGreaterThanOrEqual(now - 180_000);
      expect(Date.parse(ts)).toBeLessThan(now - 60_000);
    }
  });

  test.each([
    ['colour=red', 'key one of agent, call'],
    ['tool', '--filter` takes key=value'],
    ['=x', '--filter` takes key=value'],
    ['tool=', 'lacks a value'],
    ['decision=maybe', 'takes allowed, denied'],
    ['decision=constructor', 'takes allowed, denied'],
    ['since=soon', 'takes a span'],
    ['since=2026-13-45', 'takes a span'],
    ['since=2026-01-31T08:00', 'takes a span'],
    ['since=999999999d', 'takes a span'],
  ])('%s is refused with what was expected', async (filter, message) => {
    const { code, out, err } = await run([await sampleTrail(), '--filter', filter]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
  });
});

describe('which entries', () => {
  test('--tail shows the last, --limit the first', async () => {
    const path = await sampleTrail();
    expect(seqsOf((await run([path, '--json', '--tail', '3'])).out)).toEqual([7, 8, 9]);
    expect(seqsOf((await run([path, '--json', '--limit', '2'])).out)).toEqual([0, 1]);
    expect((await run([path, '--json', '--limit', '0'])).out).toBe('');
    expect((await run([path, '--json', '--tail', '0'])).out).toBe('');
    expect(seqsOf((await run([path, '--json', '--tail', '99'])).out)).toHaveLength(10);
    const filtered = ['--filter', 'type=outcome', '--tail', '2'];
    expect(seqsOf((await run([path, '--json', ...filtered])).out)).toEqual([6, 8]);
  });

  test.each([
    [['--tail', '1', '--limit', '1'], 'not both'],
    [['--tail', '-1'], 'whole number'],
    [['--tail', '10001'], 'at most 10000'],
    [['--format', 'xml'], 'it takes enforcecore, enforcecore-py'],
    [['--follow', '--format', 'enforcecore-py'], 'our own trails'],
  ])('refuses %j', async (words, message) => {
    const { code, err } = await run([await sampleTrail(), ...words]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test('--tail begins with the newest segments that hold enough', async () => {
    const path = scratchPath();
    const trail = await openTrail({ path, rotateBytes: 3_000 });
    for (let call = 0; call < 40; call += 1) await trail.append(decision(`c-${call}`));
    await trail.close();
    const all = seqsOf((await run([path, '--json'])).out);
    expect(all).toEqual(all.map((_, index) => index));
    for (const tail of [1, 5, 17, all.length]) {
      const { out } = await run([path, '--json', '--tail', String(tail)]);
      expect(seqsOf(out)).toEqual(all.slice(-tail));
    }
    // Older segments are not even opened.
    chmodSync(`${firstSegment(path)}.gz`, 0o600);
    writeFileSync(`${firstSegment(path)}.gz`, 'no gzip');
    expect((await run([path, '--tail', '3'])).code).toBe(0);
    expect((await run([path])).code).toBe(6);
  });

  test('reads trails of the Python EnforceCore, directory or file', async () => {
    const directory = scratchPath();
    mkdirSync(directory);
    const text = readFileSync('test/vectors/audit-python-1.6.jsonl');
    writeFileSync(join(directory, 'trail.jsonl'), text);
    for (const path of [directory, join(directory, 'trail.jsonl')]) {
      const { code, out } = await run([path, '--format', 'enforcecore-py', '--limit', '4']);
      expect(code).toBe(0);
      expect(out.trim().split('\n')).toHaveLength(5);
    }
    const denied = ['--json', '--filter', 'decision=blocked', '--format', 'enforcecore-py'];
    const { out } = await run([directory, ...denied]);
    for (const line of out.trim().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({ entry: { decision: 'blocked' } });
    }
  });
});

describe('as JSON', () => {
  test('prints what `audit export` prints', async () => {
    const path = await sampleTrail();
    const terminal = fakeTerminal({ cwd: '/' });
    await main(['audit', 'export', path], terminal);
    const { out } = await run([path, '--json']);
    expect(out).toBe(terminal.written.out);
    expect(JSON.stringify(exportedEntryJsonSchema())).toContain('enforcecore.audit-entry.v1');
  });

  test('holds every text unchanged, with nothing that a terminal obeys', async () => {
    const { out } = await run([await sampleTrail(), '--json', '--filter', 'agent=a2']);
    expect(JSON.parse(out)).toMatchObject({ tool: HOSTILE });
    expect(out.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe('as a table', () => {
  test.each([48, 60, 80, 109, 110, 120, 200])('fits into %d columns', async (columns) => {
    const { out } = await run([await sampleTrail()], { columns });
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(11);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
    expect(lines[0]).toMatch(/^SEQ +TIME +TYPE .*TOOL +RESULT/);
  });

  test('reads well at 120 columns', async () => {
    const { out } = await run([await sampleTrail()], { columns: 120 });
    const rows = out.split('\n').map((line) => line.replace(/\d{4}-\S+Z/, 'TIME'));
    expect(rows[1]).toMatch(/^0 +TIME +segment +1 +localhost\/enforcecore/);
    expect(rows[2]).toMatch(/^1 +TIME +decision +call-ok +fetch_page +allowed$/);
    expect(rows[3]).toMatch(/^2 +TIME +outcome +call-ok +fetch_page +ok +13 ms isolated$/);
    expect(rows[4]).toMatch(/^3 +TIME +decision +call-no +send_\S+… denied +ENF_DENIED_TOOL send/);
    expect(rows[5]).toMatch(/^4 .* slow +would deny +ENF_DENIED_TOOL/);
    expect(rows[6]).toMatch(/^5 .* egress +call-slo slow +denied +h.example:443 not allowed$/);
    expect(rows[7]).toMatch(/^6 .* timeout +ENF_LIMIT_WALL 13 ms isolat/);
    expect(rows[8]).toMatch(/^7 +TIME +kill switch +trip +smoke ops$/);
    expect(rows[9]).toMatch(/^8 +TIME +outcome +call-unk +ok/);
  });

  test.each([60, 120])('shows control characters as text at %d columns', async (columns) => {
    const { out } = await run([await sampleTrail()], { columns, isOutTerminal: true });
    const codes = out.split('\u001b').slice(1);
    expect(codes.filter((code) => !/^\[(1|22|31|32|33|39)m/.test(code))).toEqual([]);
    const plain = stripVTControlCharacters(out).replaceAll('\n', '');
    expect(plain).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    expect(plain).toContain('send_\\x1b[');
  });

  test('is coloured on a terminal only, and not where NO_COLOR is set', async () => {
    const path = await sampleTrail();
    const onTerminal = (env: Record<string, string>) => run([path], { isOutTerminal: true, env });
    expect((await run([path])).out).not.toContain('\u001b');
    expect((await onTerminal({})).out).toContain('\u001b[31mdenied');
    expect((await onTerminal({ NO_COLOR: '' })).out).toContain('\u001b');
    expect((await onTerminal({ NO_COLOR: '1' })).out).not.toContain('\u001b');
    expect((await onTerminal({ TERM: 'dumb' })).out).not.toContain('\u001b');
  });

  test('prints nothing, not even headings, where there is nothing to show', async () => {
    expect(await run([await sampleTrail(), '--filter', 'tool=no'])).toEqual({
      code: 0,
      out: '',
      err: '',
    });
  });
});

describe('what is not right', () => {
  test('names damaged lines, goes on behind them, and exits with 6', async () => {
    const path = await sampleTrail();
    const lines = readFileSync(firstSegment(path), 'utf8').split('\n');
    const noForm = '{"type":"decision","seq":3,"target":7}';
    const edited = lines.with(2, '{"half').with(3, noForm).with(4, '7').toSpliced(5, 0, '');
    writeFileSync(firstSegment(path), edited.join('\n'));
    const { code, out, err } = await run([path, '--json']);
    expect(code).toBe(6);
    expect(seqsOf(out)).toEqual([0, 1, 5, 6, 7, 8, 9]);
    expect(err).toContain('line 3 is no entry');
    expect(err).toContain('entry 3 does not have the form of an entry');
    expect(err).toContain('4 lines are damaged and left out; `enforcecore verify` says more');
  });

  test('names the first ten damaged lines of many', async () => {
    const path = await sampleTrail();
    appendFileSync(firstSegment(path), '\u001b[2J\n'.repeat(1_000));
    const { code, err } = await run([path]);
    expect(code).toBe(6);
    expect(err.split('\n').filter((line) => line.includes('is no entry'))).toHaveLength(10);
    expect(err).toContain('1000 lines are damaged');
    expect(err).not.toContain('\u001b');
  });

  test('a line longer than a line may be is damage, and the next one is found', async () => {
    const path = await sampleTrail();
    const lines = readFileSync(firstSegment(path), 'utf8').split('\n');
    const edited = lines.toSpliced(4, 0, 'x'.repeat(1_000_000));
    writeFileSync(firstSegment(path), edited.join('\n'));
    const { code, out } = await run([path, '--json']);
    expect(code).toBe(6);
    expect(seqsOf(out)).toHaveLength(10);
  });

  test('what is no trail is refused', async () => {
    const empty = scratchPath();
    mkdirSync(empty);
    expect(await run([empty])).toMatchObject({ code: 6, out: '' });
    expect(await run([join(empty, 'none')])).toMatchObject({ code: 6, out: '' });
  });

  test('stops when nobody reads any more', async () => {
    const path = scratchPath();
    const trail = await openTrail({ path });
    await Promise.all(
      Array.from({ length: 500 }, (_, call) => trail.append(decision(`c-${call}`))),
    );
    await trail.close();
    let pages = 0;
    const canWrite = async () => {
      pages += 1;
      return pages < 2;
    };
    const { code, out } = await run([path, '--json'], { canWrite });
    expect({ code, lines: seqsOf(out).length }).toEqual({ code: 0, lines: 200 });
  });
});

describe('--follow', () => {
  /** Resolves when so many entries were printed. */
  function following(words: readonly string[]) {
    const base = fakeTerminal({ cwd: '/' });
    let wake = () => {};
    const terminal: FakeTerminal = {
      ...base,
      out: (text) => {
        base.out(text);
        wake();
      },
    };
    const until = async (count: number): Promise<number[]> => {
      while (base.written.out.split('\n').length - 1 < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return seqsOf(base.written.out);
    };
    const done = main(['inspect', '--json', '--follow', ...words], terminal);
    return { done, until, terminal };
  }

  test('shows what is written later, across rotation and compression', async () => {
    const path = scratchPath();
    const trail = await openTrail({ path, rotateBytes: 2_000 });
    await trail.append(decision('c-0'));
    const { done, until, terminal } = following([path]);
    expect(await until(2)).toEqual([0, 1]);
    let last = 1;
    for (let call = 1; call < 12; call += 1) {
      ({ seq: last } = await trail.append(decision(`c-${call}`)));
    }
    const seen = await until(last + 1);
    expect(seen).toEqual(seen.map((_, index) => index));
    const late = await trail.append(outcome('c-3', { status: 'crashed' }));
    expect((await until(late.seq + 1)).at(-1)).toBe(late.seq);
    await trail.close();
    terminal.interrupt('SIGINT');
    expect(await done).toBe(130);
  });

  test('begins with the last ten, or as many as --tail says', async () => {
    const path = scratchPath();
    const trail = await openTrail({ path });
    for (let call = 0; call < 20; call += 1) await trail.append(decision(`c-${call}`));
    const { done, until, terminal } = following([path]);
    expect((await until(10))[0]).toBe(11);
    await trail.append(decision('c-late'));
    expect((await until(11)).at(-1)).toBe(21);
    terminal.interrupt('SIGTERM');
    expect(await done).toBe(143);
    const other = following([path, '--tail', '2', '--filter', 'call=c-1']);
    expect(await other.until(2)).toEqual([19, 20]);
    other.terminal.interrupt('SIGINT');
    await other.done;
    await trail.close();
  });

  test('ends at the limit', async () => {
    const path = scratchPath();
    const trail = await openTrail({ path });
    await trail.append(decision('c-0'));
    const { done, until } = following([path, '--limit', '3']);
    await until(2);
    await trail.append(decision('c-1'));
    await trail.append(decision('c-2'));
    expect(await done).toBe(0);
    await trail.close();
  });

  test('waits for the rest of a line', async () => {
    const path = await sampleTrail();
    const line = readFileSync(firstSegment(path), 'utf8').split('\n').at(-2) as string;
    appendFileSync(firstSegment(path), line.slice(0, 20));
    const { done, until, terminal } = following([path, '--tail', '1']);
    expect(await until(1)).toEqual([9]);
    appendFileSync(firstSegment(path), `${line.slice(20)}\n`);
    expect(await until(2)).toEqual([9, 9]);
    terminal.interrupt('SIGINT');
    expect(await done).toBe(130);
    expect(terminal.written.err).toBe('');
  });
});
