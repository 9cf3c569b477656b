import { describe, expect, test } from 'vitest';
import { type DryRunCall, type DryRunResult, dryRun } from '../../src/gate/index.ts';
import { compiled, rulesOf } from './requests.ts';

async function resultsOf(
  document: object,
  calls: Iterable<DryRunCall> | AsyncIterable<DryRunCall>,
  options = {},
): Promise<DryRunResult[]> {
  const results: DryRunResult[] = [];
  for await (const result of dryRun(await compiled(document), calls, options)) results.push(result);
  return results;
}

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
    expect(results.map(({ decision }) => rulesOf(decision))).toEqual([
      ['denied_tools', 'allowed_tools', 'content_rules.shell_injection'],
      ['tool'],
    ]);
  });

  test('judges rates by the times of the calls, and says so where there are none', async () => {
    const document = { rate_limits: { a: { max_calls: 1, window_seconds: 60 } } };
    const call = { tool: 'a', args: {} };
    const timed = await resultsOf(document, [
      { ...call, at: 0 },
      { ...call, at: 59_999 },
      { ...call, at: 60_000 },
    ]);
    expect(effects(timed)).toEqual(['allow', 'deny', 'allow']);
    expect(timed[1]?.decision.reasons).toMatchObject([
      { rule: 'rate_limits.a', code: 'ENF_DENIED_RATE' },
    ]);
    const untimed = await resultsOf(document, [call, call]);
    expect(effects(untimed)).toEqual(['allow', 'allow']);
    expect(untimed[0]?.unjudged).toEqual(['rate_limits.a']);
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

  test('judges the redacted form when it is told how to redact', async () => {
    const redact = () => ({ a: '; rm -rf /' });
    expect(
      effects(
        await resultsOf({ content_rules: {} }, [{ tool: 'a', args: { a: 'x' } }], { redact }),
      ),
    ).toEqual(['deny']);
  });

  test('reads its input as it goes, however long it is', async () => {
    let asked = 0;
    async function* endless(): AsyncGenerator<DryRunCall> {
      for (;;) {
        asked += 1;
        yield { tool: 'a', args: {} };
      }
    }
    for await (const { index } of dryRun(await compiled({}), endless())) if (index === 9) break;
    expect(asked).toBe(10);
  });
});
