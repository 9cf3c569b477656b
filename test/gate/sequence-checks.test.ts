import { describe, expect, test } from 'vitest';
import { decide, foldToolName } from '../../src/gate/index.ts';
import { createSessionHistories, type SessionHistory } from '../../src/usage/index.ts';
import { compiled, decideUnder, requestFor, rulesOf } from './requests.ts';

const MINUTE = 60_000;

/** A session in which tools ended at given times, well or not. */
function historyOf(events: readonly [tool: string, at: number, ok?: boolean][]): SessionHistory {
  const histories = createSessionHistories(foldToolName);
  for (const [tool, at, ok = true] of events) histories.begin({}, tool, at).ended({ at, ok });
  return histories.of({});
}

describe('requires_prior', () => {
  const rules = [{ tool: 'send_*', requires_prior: { tool: 'get_approval', within: '10m' } }];
  test.each<[string, [string, number, boolean?][], number, string]>([
    ['denies without it', [], 0, 'deny'],
    ['allows after it', [['get_approval', 0]], MINUTE, 'allow'],
    ['allows at the last moment', [['get_approval', 0]], 10 * MINUTE, 'allow'],
    ['denies too late', [['get_approval', 0]], 10 * MINUTE + 1, 'deny'],
    ['denies after one that failed', [['get_approval', 0, false]], MINUTE, 'deny'],
    [
      'remembers a success before a failure',
      [
        ['get_approval', 0],
        ['get_approval', 1, false],
      ],
      MINUTE,
      'allow',
    ],
    ['takes another case for the same tool', [['GET_Approval', 0]], MINUTE, 'allow'],
    ['takes no other tool', [['get_approvals', 0]], MINUTE, 'deny'],
    ['survives a clock that went back', [['get_approval', 5 * MINUTE]], 0, 'allow'],
  ])('%s', async (_, events, now, effect) => {
    const decision = await decideUnder(
      { sequence_rules: rules },
      'send_email',
      {},
      { history: historyOf(events), now },
    );
    expect(decision.effect).toBe(effect);
  });

  test('concerns only the tools that it names', async () => {
    expect((await decideUnder({ sequence_rules: rules }, 'read')).effect).toBe('allow');
  });

  test('is not met by a call that still runs', async () => {
    const histories = createSessionHistories(foldToolName);
    histories.begin({}, 'get_approval', 0);
    const request = { history: histories.of({}), now: 1 };
    expect(
      rulesOf(await decideUnder({ sequence_rules: rules }, 'send_email', {}, request)),
    ).toEqual(['sequence_rules[0]']);
  });
});

describe('forbid_after', () => {
  const rules = [{ tool: 'post_*', forbid_after: { tool: 'read_*', within: '1h' } }];
  test.each<[string, [string, number, boolean?][], number, string]>([
    ['allows without it', [], 0, 'allow'],
    ['denies after it', [['read_secret', 0]], MINUTE, 'deny'],
    ['denies after one that failed: it may have read', [['read_secret', 0, false]], MINUTE, 'deny'],
    ['allows when it is long ago', [['read_secret', 0]], 61 * MINUTE, 'allow'],
  ])('%s', async (_, events, now, effect) => {
    const decision = await decideUnder(
      { sequence_rules: rules },
      'post_form',
      {},
      { history: historyOf(events), now },
    );
    expect(decision.effect).toBe(effect);
  });

  test('sees a call that still runs, so parallel calls cannot slip past each other', async () => {
    const policy = await compiled({ sequence_rules: rules });
    const histories = createSessionHistories(foldToolName);
    const read = decide(policy, requestFor('read_secret', {}, { history: histories.of({}) }));
    if (read.effect === 'allow') histories.begin({}, 'read_secret', 0);
    expect(decide(policy, requestFor('post_form', {}, { history: histories.of({}) })).effect).toBe(
      'deny',
    );
  });

  test('denies when the history is incomplete', async () => {
    const history = { complete: false, tools: new Map() };
    expect(
      (await decideUnder({ sequence_rules: rules }, 'post_form', {}, { history })).effect,
    ).toBe('deny');
  });

  test('without `within` means for the rest of the session', async () => {
    const forever = [{ tool: 'post', forbid_after: { tool: 'read' } }];
    const request = { history: historyOf([['read', 0]]), now: 1e12 };
    expect((await decideUnder({ sequence_rules: forever }, 'post', {}, request)).effect).toBe(
      'deny',
    );
  });
});

describe('sum', () => {
  const rules = [{ tool: 'pay', sum: 'args.items[0].amount', max: 5000, within: '1h' }];

  test('reserves the amount in the window of the session', async () => {
    const context = { tenant: 't', agent: 'a', session: 's' };
    const { reservations } = await decideUnder(
      { sequence_rules: rules },
      'pay',
      { items: [{ amount: 7.5 }] },
      { context },
    );
    expect(reservations.at(-1)).toMatchObject({
      kind: 'window',
      rule: 'sequence_rules[0]',
      amount: 7.5,
      amountMax: 5000,
      windowMs: 3_600_000,
    });
  });

  test.each([
    ['negative', -1],
    ['text', '5'],
    ['missing', undefined],
    ['null', null],
    ['a list', [5]],
    ['a boolean', true],
  ])('an amount that is %s denies: it would make room', async (_, amount) => {
    const decision = await decideUnder({ sequence_rules: rules }, 'pay', {
      items: [{ ...(amount === undefined ? {} : { amount }) }],
    });
    expect(decision).toMatchObject({
      effect: 'deny',
      reservations: [],
      reasons: [{ code: 'ENF_DENIED_RULE_FAILED' }],
    });
  });

  test('is a limit: `on_violation: log` does not soften it', async () => {
    const decision = await decideUnder({ sequence_rules: rules, on_violation: 'log' }, 'pay', {});
    expect(decision.effect).toBe('deny');
  });
});

test('`on_violation: log` lets a call through that a sequence rule denies', async () => {
  const rules = [{ tool: 'a', requires_prior: { tool: 'b' } }];
  const decision = await decideUnder({ sequence_rules: rules, on_violation: 'log' }, 'a');
  expect(decision).toMatchObject({ effect: 'allow', wouldDeny: true });
});
