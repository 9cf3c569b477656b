import { expect, test } from 'vitest';
import { compilePolicy } from '../../src/gate/index.ts';
import { loadPolicy, shippedDefault } from '../../src/policy/index.ts';
import { compiled } from './requests.ts';

test('a policy that says nothing confines like the default, and demands nothing', async () => {
  const { confinement } = (await compiled({})).rulesFor('x');
  expect(confinement).toEqual({
    limits: {
      wallMs: 30_000,
      cpuMs: 20_000,
      memoryBytes: 268_435_456,
      processesMax: 64,
      openFilesMax: 256,
      fileSizeBytes: 67_108_864,
      diskBytes: 268_435_456,
      inputBytes: 10_485_760,
      argumentDepthMax: 64,
      outputBytes: 1_048_576,
    },
    environment: { pass: [], set: {} },
    filesystem: { read: [], write: [], deny: [], execute: [] },
    network: 'none',
    isolation: {
      level: 'auto',
      min: 'process',
      require: [],
      profile: 'strict',
      exec: 'none',
      reuse: 1,
    },
    explicit: new Set(),
  });
});

test('the shipped default gives the same rules as saying nothing', async () => {
  const shipped = compilePolicy(await loadPolicy(shippedDefault())).rulesFor('x');
  expect(shipped).toEqual((await compiled({})).rulesFor('x'));
});

test('what is written is demanded, and nothing else', async () => {
  const policy = await compiled({
    resource_limits: { max_cpu_seconds: 'unlimited', max_memory_mb: 0.5 + 1 },
    isolation: { min: 'hardened' },
    environment: { set: { TZ: 'UTC' } },
  });
  const { confinement } = policy.rulesFor('x');
  expect(confinement.limits).toMatchObject({
    cpuMs: Infinity,
    memoryBytes: 1_572_864,
    wallMs: 30_000,
  });
  expect(confinement.isolation.min).toBe('hardened');
  expect(confinement.environment).toEqual({ pass: [], set: { TZ: 'UTC' } });
  expect([...confinement.explicit].sort()).toEqual([
    'environment',
    'isolation.min',
    'resource_limits.max_cpu_seconds',
    'resource_limits.max_memory_mb',
  ]);
});

test('redaction is on unless it is switched off', async () => {
  const { redaction } = (await compiled({})).rulesFor('x');
  expect(redaction.pii_redaction).toEqual({
    enabled: true,
    categories: ['email', 'phone', 'ssn', 'credit_card', 'ip_address'],
    strategy: 'placeholder',
    direction: 'both',
    exempt: [],
  });
  expect(redaction.secret_detection).toEqual({
    enabled: true,
    categories: 'all',
    strategy: 'placeholder',
  });
  const off = (await compiled({ pii_redaction: { enabled: false } })).rulesFor('x');
  expect(off.redaction.pii_redaction.enabled).toBe(false);
});

test('rules are the same object for the same tool, whatever its case', async () => {
  const policy = await compiled({});
  expect(policy.rulesFor('Search')).toBe(policy.rulesFor('search'));
});

test('a flood of tool names does not grow the cache without bound', async () => {
  const policy = await compiled({ allowed_tools: ['x'] });
  const first = policy.rulesFor('x');
  for (let index = 0; index < 10_001; index++) policy.rulesFor(`tool_${index}`);
  expect(policy.rulesFor('x')).not.toBe(first);
});
