import { describe, expect, test } from 'vitest';
import { openEnforcer } from '../fixtures/open-enforcer.ts';

const POLICY = { name: 'budget', cost: { pay: 0.4 } };

describe('the budget of a scope', () => {
  test('is shared by its calls, which never overspend it together', async () => {
    const { enforcer } = await openEnforcer(POLICY);
    const pay = enforcer.wrap('pay', async () => 'paid', { trusted: ['isolation'] });
    const results = await enforcer.scope({ budgetUsd: 1 }, () =>
      Promise.allSettled(Array.from({ length: 10 }, () => pay())),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    const [denied] = results.filter((result) => result.status === 'rejected');
    expect(denied?.reason).toMatchObject({ code: 'ENF_DENIED_BUDGET' });
  });

  test('binds inner scopes too, and ends with its scope', async () => {
    const { enforcer } = await openEnforcer(POLICY);
    const pay = enforcer.wrap('pay', async () => 'paid', { trusted: ['isolation'] });
    await enforcer.scope({ budgetUsd: 0.5 }, async (scope) => {
      expect(await scope.scope({ budgetUsd: 100 }, () => pay())).toBe('paid');
      await expect(scope.scope({ budgetUsd: 100 }, () => pay())).rejects.toThrow('budget');
    });
    expect(await pay()).toBe('paid');
  });

  test.each([-1, Number.NaN, Infinity, '1', null])(
    'is refused when it is %o',
    async (budgetUsd) => {
      const { enforcer } = await openEnforcer(POLICY);
      await expect(
        enforcer.scope({ budgetUsd: budgetUsd as never }, () => 1),
      ).rejects.toMatchObject({ code: 'ENF_CALL_ARGUMENT' });
    },
  );
});

describe('the cost that a caller knows', () => {
  const charge = async (costUsd: number) => {
    const policy = { ...POLICY, resource_limits: { max_cost_usd: 2 } };
    const { enforcer } = await openEnforcer(policy);
    const pay = enforcer.wrap('pay', async () => 'paid', {
      trusted: ['isolation'],
      context: { agent: 'a', costUsd },
    });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => pay()));
    return results.filter(({ status }) => status === 'fulfilled').length;
  };

  test('counts against the budget', async () => expect(await charge(1)).toBe(2));
  test('is never less than the policy says', async () => expect(await charge(0)).toBe(5));
  test.each([-1, Number.NaN, Infinity, '1'])('is refused when it is %o', async (costUsd) => {
    await expect(charge(costUsd as never)).rejects.toMatchObject({ code: 'ENF_CALL_ARGUMENT' });
  });
});
