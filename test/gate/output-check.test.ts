import { describe, expect, test } from 'vitest';
import { checkOutput, type ToolOutput } from '../../src/gate/index.ts';
import { compiled } from './requests.ts';

const output = (rest: Partial<ToolOutput> = {}): ToolOutput => ({
  value: null,
  stdout: '',
  stderr: '',
  secretsFound: 0,
  ...rest,
});

async function rulesAgainst(document: object, rest: Partial<ToolOutput>): Promise<string[]> {
  return checkOutput(await compiled(document), 'x', output(rest)).map(({ rule }) => rule);
}

const rules = {
  output_rules: { block_patterns: [{ name: 'internal', pattern: '(?i)top secret' }] },
};

describe('output_rules', () => {
  test.each<[string, Partial<ToolOutput>]>([
    ['a result', { value: 'TOP secret' }],
    ['a deep result', { value: [{ a: ['top secret'] }] }],
    ['a key', { value: { 'top secret': 1 } }],
    ['stdout', { stdout: 'x top secret' }],
    ['stderr', { stderr: 'top secret' }],
  ])('withhold %s that matches', async (_, rest) => {
    expect(await rulesAgainst(rules, rest)).toEqual(['output_rules.internal']);
  });

  test('withhold a result in which secrets were found, unless told otherwise', async () => {
    expect(await rulesAgainst({ output_rules: {} }, { secretsFound: 2 })).toEqual([
      'output_rules.block_secrets',
    ]);
    expect(
      await rulesAgainst({ output_rules: { block_secrets: false } }, { secretsFound: 2 }),
    ).toEqual([]);
  });

  test.each([[{}], [{ output_rules: { enabled: false } }]])(
    'have nothing to say under %j',
    async (document) => {
      expect(await rulesAgainst(document, { value: 'top secret', secretsFound: 1 })).toEqual([]);
    },
  );

  test('pass what does not match, undefined results too', async () => {
    expect(await rulesAgainst(rules, { value: undefined, stdout: 'fine' })).toEqual([]);
  });

  test('of a tool hold for the tool', async () => {
    const document = { tools: { x: rules } };
    expect(await rulesAgainst(document, { value: 'top secret' })).toEqual([
      'output_rules.internal',
    ]);
    expect(checkOutput(await compiled(document), 'y', output({ value: 'top secret' }))).toEqual([]);
  });

  test('withhold what cannot be examined: too deep, too long for its pattern', async () => {
    const costly = {
      output_rules: { block_patterns: [{ name: 'p', pattern: '[ab]*a[ab]{20}$' }] },
    };
    const reasons = checkOutput(
      await compiled(costly),
      'x',
      output({ stdout: 'a'.repeat(60_000) }),
    );
    expect(reasons).toMatchObject([{ code: 'ENF_DENIED_RULE_FAILED' }]);
  });

  test('never show what was found', async () => {
    const reasons = checkOutput(
      await compiled(rules),
      'x',
      output({ value: { k: 'top secret plan' } }),
    );
    expect(JSON.stringify(reasons)).not.toMatch(/top secret/);
    expect(reasons[0]?.message).toBe('`result.k` breaks `internal`');
  });
});
