import { describe, expect, test } from 'vitest';
import type { Confinement, Tier } from '../../src/call.ts';
import { chooseRunner as choose } from '../../src/isolation/choose-runner.ts';
import { FunctionRunner, TRUSTED_KEYS, type Trust } from '../../src/isolation/function-runner.ts';
import type { Runner } from '../../src/isolation/runner.ts';
import type { ResolvedTarget } from '../../src/isolation/tool-target.ts';
import { confinement } from '../fixtures/job.ts';

const TARGET: ResolvedTarget = {
  kind: 'module',
  module: '/tool.mjs',
  identity: { kind: 'module', path: '/tool.mjs' },
};

const chooseRunner = (runners: readonly Runner[], confinement: Confinement) =>
  choose(runners, TARGET, confinement);

const never = async (): Promise<never> => {
  throw new Error('a choice starts nothing');
};

function runner(
  tier: Tier | 'none',
  enforces: readonly string[] = [],
  layers: string[] = [],
): Runner {
  return { tier, layers, enforces: new Set(enforces), run: never, close: never };
}

const ALL = [runner('thread'), runner('hardened', [], ['landlock']), runner('process')];

function asking(
  isolation: Partial<Confinement['isolation']> = {},
  more: Partial<Confinement> = {},
): Confinement {
  const base = confinement();
  return {
    ...base,
    limits: {
      ...base.limits,
      wallMs: Number.POSITIVE_INFINITY,
      outputBytes: Number.POSITIVE_INFINITY,
    },
    ...more,
    isolation: { ...base.isolation, ...isolation },
  };
}

describe('the tier', () => {
  test.each<[string, Partial<Confinement['isolation']>, Tier]>([
    ['auto takes the strongest', { level: 'auto', min: 'thread' }, 'hardened'],
    ['a stated level takes that tier', { level: 'process', min: 'thread' }, 'process'],
    ['a thread is taken only when it is stated', { level: 'thread', min: 'thread' }, 'thread'],
    [
      'a required layer is met',
      { level: 'auto', min: 'thread', require: ['landlock'] },
      'hardened',
    ],
  ])('%s', (_rule, isolation, tier) => {
    expect(chooseRunner(ALL, asking(isolation))).toMatchObject({ runner: { tier } });
  });

  test.each<[string, readonly Runner[], Partial<Confinement['isolation']>, string]>([
    [
      'nothing works here',
      [],
      {},
      'tier `thread` or a stronger one is needed, but strongest here is `none`',
    ],
    ['only threads work here', [runner('thread')], {}, 'tier `thread` or a stronger one is needed'],
    ['the level does not work here', ALL, { level: 'isolated' }, 'tier `isolated` is needed'],
    [
      'the minimum is higher',
      ALL,
      { min: 'isolated' },
      'tier `isolated` or a stronger one is needed',
    ],
    [
      'the level is below the minimum',
      ALL,
      { level: 'process', min: 'hardened' },
      'tier `process` is needed',
    ],
    [
      'a layer is missing',
      ALL,
      { require: ['landlock', 'seccomp'] },
      'layers `seccomp` are required',
    ],
    [
      'a layer is missing at the stated level, though a stronger tier has it',
      ALL,
      { level: 'process', require: ['landlock'] },
      'layers `landlock` are required, but tier `process` does not have them here',
    ],
  ])('is refused, and never lowered, when %s', (_why, runners, isolation, message) => {
    const choice = chooseRunner(runners, asking(isolation));
    expect(choice).not.toHaveProperty('runner');
    expect(choice).toMatchObject({ message: expect.stringContaining(message) });
    expect(choice).toMatchObject({ cause: expect.any(String), remedy: expect.any(String) });
  });
});

describe('the reason of a refusal', () => {
  const gap = { cause: 'it has no bwrap', remedy: 'install bubblewrap' };

  test('is why the tier does not work here', () => {
    const confined = asking({ min: 'isolated' });
    expect(choose(ALL, TARGET, confined, [{ tier: 'isolated', ...gap }])).toMatchObject(gap);
    expect(choose(ALL, TARGET, confined, [{ tier: 'process', ...gap }])).not.toMatchObject(gap);
  });

  test('is why the tier cannot run this tool, and a weaker one is not taken for it', () => {
    const picky = { ...runner('hardened'), unsuited: () => gap };
    const runners = [picky, runner('process')];
    expect(chooseRunner(runners, asking({ min: 'hardened' }))).toMatchObject(gap);
    expect(chooseRunner(runners, asking({ level: 'hardened', min: 'thread' }))).toMatchObject(gap);
    expect(chooseRunner(runners, asking())).toMatchObject({ runner: { tier: 'process' } });
  });
});

describe('policy keys that the runner cannot enforce', () => {
  const strict = confinement({
    cpuMs: 1,
    memoryBytes: 1,
    processesMax: 1,
    openFilesMax: 1,
    fileSizeBytes: 1,
    diskBytes: 1,
  });
  const demanding: Confinement = {
    ...strict,
    network: 'none',
    isolation: { ...strict.isolation, exec: 'none', profile: 'strict' },
  };

  test('are reported when they are defaults', () => {
    const choice = chooseRunner([runner('process')], demanding);
    expect(choice).toMatchObject({ runner: { tier: 'process' } });
    expect([...('unenforced' in choice ? choice.unenforced : [])].sort()).toEqual([
      'environment',
      'filesystem',
      'isolation.exec',
      'isolation.profile',
      'network',
      'resource_limits.max_call_duration_seconds',
      'resource_limits.max_cpu_seconds',
      'resource_limits.max_disk_mb',
      'resource_limits.max_file_size_mb',
      'resource_limits.max_memory_mb',
      'resource_limits.max_open_files',
      'resource_limits.max_output_size_bytes',
      'resource_limits.max_processes',
    ]);
  });

  test('refuse the call when the user wrote one of them', () => {
    const explicit = new Set(['network', 'resource_limits.max_memory_mb', 'isolation.level']);
    const some = runner('process', ['resource_limits.max_memory_mb']);
    expect(chooseRunner([some], { ...demanding, explicit })).toMatchObject({
      message: 'the policy sets `network`, but tier `process` cannot enforce it',
    });
    expect(chooseRunner([runner('process')], { ...demanding, explicit })).toMatchObject({
      message: expect.stringContaining('cannot enforce them'),
    });
  });

  test('are no matter when they restrict nothing', () => {
    const explicit = new Set(['network', 'resource_limits.max_memory_mb', 'isolation.exec']);
    const free = asking({ exec: 'any', profile: 'off' }, { network: 'unrestricted', explicit });
    expect(chooseRunner([runner('process')], free)).toEqual({
      runner: expect.anything(),
      unenforced: ['environment', 'filesystem'],
    });
  });

  test('are no matter when the runner enforces them', () => {
    const explicit = new Set(['network']);
    const choice = chooseRunner([runner('process', ['network'])], { ...demanding, explicit });
    expect(choice).toHaveProperty('runner');
  });
});

describe('a function of this process', () => {
  const isolated = { level: 'process', min: 'process', require: ['landlock'] } as const;

  test('is refused what it can never have', () => {
    const explicit = new Set(['isolation.min', 'resource_limits.max_memory_mb']);
    const demanding = {
      ...asking(isolated),
      limits: confinement({ memoryBytes: 1 }).limits,
      explicit,
    };
    expect(chooseRunner([new FunctionRunner()], demanding)).toMatchObject({
      message: expect.stringContaining('`resource_limits.max_memory_mb`, `isolation.min`'),
    });
    expect(chooseRunner([new FunctionRunner(['memory'])], demanding)).toMatchObject({
      message: 'the policy sets `isolation.min`, but tier `none` cannot enforce it',
    });
    expect(chooseRunner([new FunctionRunner(['memory', 'isolation'])], demanding)).toHaveProperty(
      'runner',
    );
  });

  test.each(Object.entries(TRUSTED_KEYS))('may be trusted with %s', (trust, keys) => {
    const { enforces } = new FunctionRunner([trust as Trust]);
    for (const key of keys) expect(enforces.has(key)).toBe(true);
    expect(enforces.size).toBe(2 + keys.length);
  });
});
