import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createDryRun,
  type DryRunCall,
  type DryRunOptions,
  type DryRunResult,
  dryRun,
} from '../../src/enforce/index.ts';
import { loadPolicy } from '../../src/policy/index.ts';
import { PatternRegistry } from '../../src/redaction/index.ts';
import type { Settings } from '../../src/settings.ts';
import { testFolder } from '../fixtures/open-enforcer.ts';

async function resultsOf(
  document: object,
  calls: Iterable<DryRunCall> | AsyncIterable<DryRunCall>,
  options: DryRunOptions = {},
): Promise<DryRunResult[]> {
  const results: DryRunResult[] = [];
  for await (const result of dryRun(calls, { name: 'test', ...document }, options))
    results.push(result);
  return results;
}

const rulesOf = ({ decision }: DryRunResult) => decision.reasons.map(({ rule }) => rule);

const effects = (results: readonly DryRunResult[]) =>
  results.map(({ decision }) => decision.effect);

describe('a dry run', () => {
  test('gives every reason for every call, in order', async () => {
    const document = { allowed_tools: [], denied_tools: ['rm'], content_rules: {} };
    const results = await resultsOf(document, [
      { tool: 'rm', args: { a: '; rm -rf /' } },
      { tool: 'b\u200b', args: {} },
    ]);
    expect(results.map(({ index, tool }) => [index, tool])).toEqual([
      [0, 'rm'],
      [1, 'b\u200b'],
    ]);
    expect(results.map(rulesOf)).toEqual([
      ['denied_tools', 'allowed_tools', 'content_rules.shell_injection'],
      ['tool'],
    ]);
  });

  describe('rates', () => {
    const document = { rate_limits: { a: { max_calls: 10, window_seconds: 60 } } };
    const call = { tool: 'a', args: {} };
    const at = (...times: readonly number[]) => times.map((time) => ({ ...call, at: time }));

    test('are judged by the times of the calls', async () => {
      const one = { rate_limits: { a: { max_calls: 1, window_seconds: 60 } } };
      const results = await resultsOf(one, at(0, 59_999, 60_000));
      expect(effects(results)).toEqual(['allow', 'deny', 'allow']);
      expect(results[1]?.decision.reasons).toMatchObject([
        { rule: 'rate_limits.a', code: 'ENF_DENIED_RATE' },
      ]);
    });

    test('deny the 11th of ten calls a minute where calls have no time', async () => {
      const results = await resultsOf(document, Array(12).fill(call));
      expect(effects(results)).toEqual([...Array(10).fill('allow'), 'deny', 'deny']);
      expect(new Set(results.map(({ at: time }) => time))).toEqual(new Set([0]));
    });

    test('follow the interval that calls without a time are given', async () => {
      const results = await resultsOf(document, Array(12).fill(call), { intervalMs: 6000 });
      expect(effects(results)).toEqual(Array(12).fill('allow'));
      expect(results.map(({ at: time }) => time).slice(0, 3)).toEqual([0, 6000, 12_000]);
      const mixed = [{ ...call, at: 1000 }, call, { ...call, at: 1500 }];
      const times = await resultsOf(document, mixed, { intervalMs: 6000 });
      expect(times.map(({ at: time }) => time)).toEqual([1000, 7000, 7000]);
    });

    test('never run backwards: old times make no room', async () => {
      const results = await resultsOf(document, at(...Array(10).fill(600_000), 0, 0));
      expect(effects(results).slice(10)).toEqual(['deny', 'deny']);
    });

    test('count a denied call as not made', async () => {
      const guarded = { ...document, conditions: ['args.n < 10'] };
      const calls = Array.from({ length: 20 }, (_, n) => ({ tool: 'a', args: { n } }));
      expect(effects(await resultsOf(guarded, [...calls, ...calls.slice(0, 1)]))).toEqual([
        ...Array(10).fill('allow'),
        ...Array(11).fill('deny'),
      ]);
    });
  });

  test('spends a budget of its own', async () => {
    const document = { cost: { a: 2 }, resource_limits: { max_cost_usd: 5 } };
    const call = { tool: 'a', args: {} };
    expect(effects(await resultsOf(document, [call, call, call]))).toEqual([
      'allow',
      'allow',
      'deny',
    ]);
    expect(effects(await resultsOf(document, [call]))).toEqual(['allow']);
  });

  test('follows each session', async () => {
    const document = { sequence_rules: [{ tool: 'send', requires_prior: { tool: 'ask' } }] };
    const [s, t] = [{ session: 's' }, { session: 't' }];
    const results = await resultsOf(document, [
      { tool: 'send', args: {}, context: s },
      { tool: 'ask', args: {}, context: s },
      { tool: 'send', args: {}, context: s },
      { tool: 'send', args: {}, context: t },
    ]);
    expect(effects(results)).toEqual(['deny', 'allow', 'allow', 'deny']);
  });

  test('a call that was denied did not happen', async () => {
    const document = {
      denied_tools: ['ask'],
      sequence_rules: [{ tool: 'send', requires_prior: { tool: 'ask' } }],
    };
    expect(
      effects(
        await resultsOf(document, [
          { tool: 'ask', args: {} },
          { tool: 'send', args: {} },
        ]),
      ),
    ).toEqual(['deny', 'deny']);
  });

  test('never waits for a place', async () => {
    const document = {
      resource_limits: { max_concurrent_calls: 0, on_busy: { queue: 5, waitMs: 3_600_000 } },
    };
    expect(effects(await resultsOf(document, [{ tool: 'a', args: {} }]))).toEqual(['deny']);
  });

  describe('redacts as a call would', () => {
    test('and counts what would be redacted, by category', async () => {
      const document = { pii_redaction: {}, secret_detection: {} };
      const args = { to: 'ann@example.org', text: 'or bob@example.org' };
      const [result] = await resultsOf(document, [{ tool: 'mail', args }]);
      expect(result).toMatchObject({ decision: { effect: 'allow' }, redactions: { email: 2 } });
    });

    test('and judges the form that would be sent', async () => {
      const document = {
        content_rules: { builtins: [], block_patterns: [{ name: 'gone', pattern: '<NUMBER>' }] },
        custom_patterns: [{ name: 'number', pattern: 'N-\\d{4}' }],
      };
      const [result] = await resultsOf(document, [{ tool: 'a', args: { n: 'N-1234' } }]);
      expect(result?.decision.effect).toBe('deny');
      expect(result?.redactions).toEqual({});
    });

    test('with the patterns of the program', async () => {
      const patterns = new PatternRegistry();
      patterns.register({ name: 'badge', pattern: 'B-\\d{4}' });
      const calls = [{ tool: 'a', args: { n: 'B-1234' } }];
      const [result] = await resultsOf({}, calls, { patterns });
      expect(result?.redactions).toEqual({ badge: 1 });
    });
  });

  test('asks the rules of the program, and a rule that throws denies', async () => {
    const rules = [
      { id: 'calm', check: ({ tool }: { tool: string }) => tool !== 'loud' || 'too loud' },
      {
        id: 'broken',
        check: ({ tool }: { tool: string }) => {
          if (tool === 'odd') throw new Error('x');
          return true as const;
        },
      },
    ];
    const results = await resultsOf(
      {},
      ['calm', 'loud', 'odd'].map((tool) => ({ tool })),
      { rules },
    );
    expect(effects(results)).toEqual(['allow', 'deny', 'deny']);
  });

  test('holds every policy to the floor of the operator', async () => {
    const settings = {
      ...SETTINGS,
      basePolicy: floorFile(),
    };
    const results = await resultsOf({}, [{ tool: 'rm' }, { tool: 'ls' }], { settings });
    expect(effects(results)).toEqual(['deny', 'allow']);
  });

  test('says what a log-only policy would have denied', async () => {
    const document = { denied_tools: ['rm'], on_violation: 'log' };
    const [result] = await resultsOf(document, [{ tool: 'rm' }]);
    expect(result?.decision).toMatchObject({ effect: 'allow', wouldDeny: true });
  });

  test('denies a pinned tool without its target, and allows it with it', async () => {
    const sha256 = 'a'.repeat(64);
    const document = { tools: { a: { target: { sha256 } } } };
    const target = { kind: 'module', path: '/a.mjs', sha256 } as const;
    const results = await resultsOf(document, [{ tool: 'a' }, { tool: 'a', target }]);
    expect(effects(results)).toEqual(['deny', 'allow']);
  });

  describe('denies arguments that a call could not have', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    test.each<[string, unknown, string]>([
      ['a cycle', cycle, 'ENF_CALL_ARGS'],
      ['a lone surrogate', { a: '\ud800' }, 'ENF_CALL_ARGS'],
      ['no number', { a: Number.NaN }, 'ENF_CALL_ARGS'],
      [
        'too deep a nesting',
        JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`),
        'ENF_CALL_ARGS_DEPTH',
      ],
      ['too much', { a: 'x'.repeat(11 * 2 ** 20) }, 'ENF_CALL_ARGS_SIZE'],
    ])('%s', async (_kind, args, code) => {
      const [result] = await resultsOf({}, [{ tool: 'a', args }]);
      expect(result?.decision).toMatchObject({ effect: 'deny', reasons: [{ rule: 'args', code }] });
    });
  });

  test.each<[string, unknown]>([
    ['no tool', { args: {} }],
    ['a tool that is no text', { tool: 5 }],
    ['a misspelt key', { tool: 'a', arg: {} }],
    ['an unknown name in its context', { tool: 'a', context: { user: 'x' } }],
    ['a negative cost', { tool: 'a', context: { costUsd: -1 } }],
    ['a time that is none', { tool: 'a', at: Number.NaN }],
    ['nothing', null],
  ])('refuses a call with %s', async (_kind, call) => {
    const trial = await createDryRun({ name: 'test' });
    await expect(trial.judge(call as DryRunCall)).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
    expect((await trial.judge({ tool: 'a' })).index).toBe(0);
  });

  test.each([-1, Number.NaN, Infinity])('refuses the interval %s', async (intervalMs) => {
    await expect(createDryRun({ name: 'test' }, { intervalMs })).rejects.toMatchObject({
      code: 'ENF_CALL_ARGUMENT',
    });
  });

  test('refuses an unknown option and a bad policy before the first call', async () => {
    const options = { interval: 5 } as DryRunOptions;
    await expect(createDryRun({ name: 'test' }, options)).rejects.toThrow('interval');
    await expect(resultsOf({ nmae: 'x' }, [])).rejects.toMatchObject({
      code: 'ENF_POLICY_INVALID',
    });
  });

  test('takes a loaded policy, and is the same for the same calls', async () => {
    const policy = await loadPolicy({
      name: 'test',
      rate_limits: { a: { max_calls: 1, window_seconds: 1 } },
    });
    const trial = await createDryRun(policy);
    expect(trial.policy.digest).toBe(policy.digest);
    const calls = [{ tool: 'a', at: 5 }, { tool: 'a', at: 6 }, { tool: 'b' }];
    expect(await resultsOf(policy.document, calls)).toEqual(
      await resultsOf(policy.document, calls),
    );
  });

  test('shows neither arguments nor secrets in its reasons', async () => {
    const password = ['hunter', '2'].join('');
    const document = { denied_tools: ['a'], content_rules: {}, conditions: ['args.x.y == 1'] };
    const results = await resultsOf(document, [
      { tool: 'a', args: { x: password, command: `; rm -rf /${password}` } },
    ]);
    expect(JSON.stringify(results)).not.toContain(password);
  });

  test('reads its input as it goes, however long it is', async () => {
    let asked = 0;
    async function* endless(): AsyncGenerator<DryRunCall> {
      for (;;) {
        asked += 1;
        yield { tool: 'a', args: {} };
      }
    }
    for await (const { index } of dryRun(endless(), { name: 'test' })) if (index === 9) break;
    expect(asked).toBe(10);
  });
});

const SETTINGS: Settings = {
  auditPath: '/nowhere',
  auditEnabled: true,
  auditDurability: 'os',
  auditKey: null,
  auditRotateBytes: null,
  auditRetainMs: null,
  auditCompress: true,
  stateDir: null,
  basePolicy: null,
  logLevel: 'silent',
};

function floorFile(): string {
  const file = join(testFolder(), 'base.yaml');
  writeFileSync(file, 'name: floor\ndenied_tools: [rm]\n');
  return file;
}
