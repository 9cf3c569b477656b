import { describe, expect, test } from 'vitest';
import { decide } from '../../src/gate/index.ts';
import { compiled, decideUnder, requestFor, rulesOf } from './requests.ts';

describe('tool lists', () => {
  test.each([
    ['allows any tool without lists', {}, 'x', []],
    ['denies every tool with an empty list', { allowed_tools: [] }, 'x', ['allowed_tools']],
    ['allows a listed tool', { allowed_tools: ['x'] }, 'x', []],
    ['allows by glob', { allowed_tools: ['fetch_*'] }, 'fetch_page', []],
    ['denies a tool that is not listed', { allowed_tools: ['x'] }, 'y', ['allowed_tools']],
    ['denies a denied tool', { denied_tools: ['x'] }, 'x', ['denied_tools']],
    [
      'denies whatever the case',
      { denied_tools: ['execute_shell'] },
      'Execute_SHELL',
      ['denied_tools'],
    ],
    [
      'lets denied win over allowed',
      { allowed_tools: ['x'], denied_tools: ['*'] },
      'x',
      ['denied_tools'],
    ],
    [
      'gives both reasons',
      { allowed_tools: [], denied_tools: ['x'] },
      'x',
      ['denied_tools', 'allowed_tools'],
    ],
  ])('%s', async (_, document, tool, rules) => {
    const decision = await decideUnder(document, tool);
    expect(rulesOf(decision)).toEqual(rules);
    expect(decision.effect).toBe(rules.length === 0 ? 'allow' : 'deny');
  });

  test('a denial names no other tool', async () => {
    const decision = await decideUnder({ allowed_tools: ['secret_tool'] }, 'y');
    expect(JSON.stringify(decision)).not.toContain('secret_tool');
  });
});

test('a tripped kill switch denies what everything else allows, and says why', async () => {
  const decision = await decideUnder({}, 'x', {}, { killSwitch: { reason: 'drill' } });
  expect(decision).toMatchObject({ effect: 'deny', reservations: [] });
  expect(decision.reasons).toEqual([
    {
      rule: 'kill_switch',
      code: 'ENF_DENIED_KILL_SWITCH',
      message: 'the kill switch is tripped: drill',
    },
  ]);
});

test('a name that is not one is denied under every policy', async () => {
  expect(rulesOf(await decideUnder({ on_violation: 'log' }, 'exe\u200bcute'))).toEqual(['tool']);
});

describe('on_violation: log', () => {
  const log = { on_violation: 'log', denied_tools: ['x'] };

  test('lets a denied tool through, with the reason and `wouldDeny`', async () => {
    const decision = await decideUnder(log, 'x');
    expect(decision).toMatchObject({ effect: 'allow', wouldDeny: true });
    expect(rulesOf(decision)).toEqual(['denied_tools']);
    expect(decision.reservations).toHaveLength(1);
  });

  test('does not soften the kill switch', async () => {
    const decision = await decideUnder(log, 'x', {}, { killSwitch: { reason: 'stop' } });
    expect(decision).toMatchObject({ effect: 'deny', wouldDeny: false });
    expect(rulesOf(decision)).toEqual(['kill_switch', 'denied_tools']);
  });
});

test('the decision names the policy it was made under', async () => {
  const policy = await compiled({ version: '7' });
  expect(decide(policy, requestFor('x')).policy).toEqual({
    name: 'test',
    version: '7',
    digest: policy.policy.digest,
  });
});

test('an allowed call reserves a slot; `unlimited` reserves nothing', async () => {
  expect((await decideUnder({}, 'x')).reservations).toMatchObject([{ kind: 'slot', callsMax: 8 }]);
  const unlimited = { resource_limits: { max_concurrent_calls: 'unlimited' } };
  expect((await decideUnder(unlimited, 'x')).reservations).toEqual([]);
});

describe('a failing rule', () => {
  test('denies and names the rule, without quoting what it threw', async () => {
    const policy = await compiled({});
    const broken = {
      ...policy,
      checksFor: () => ({
        charges: [],
        output: () => [],
        checks: [
          {
            rule: 'conditions[0]',
            force: 'hard' as const,
            run: () => {
              throw new TypeError('secret');
            },
          },
        ],
      }),
    };
    const decision = decide(broken, requestFor('x'));
    expect(decision.effect).toBe('deny');
    expect(decision.reasons).toEqual([
      {
        rule: 'conditions[0]',
        code: 'ENF_DENIED_RULE_FAILED',
        message: 'rule `conditions[0]` could not be evaluated (TypeError)',
      },
    ]);
  });

  test('denies also when the policy itself cannot be asked', async () => {
    const policy = await compiled({});
    const broken = {
      ...policy,
      checksFor: () => {
        throw new RangeError('stack');
      },
    };
    expect(decide(broken, requestFor('x'))).toMatchObject({ effect: 'deny', reservations: [] });
  });
});
