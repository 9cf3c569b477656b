import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { Tier } from '../../src/call.ts';
import { requireLayer } from '../fixtures/require-layer.ts';
import { Attempt } from './attempt.ts';
import { CHANNEL_CASES } from './cases/channel.ts';
import { FILESYSTEM_CASES } from './cases/filesystem.ts';
import { KERNEL_CASES } from './cases/kernel.ts';
import { NETWORK_CASES } from './cases/network.ts';
import { NODE_CASES } from './cases/node.ts';
import { PROCESS_CASES } from './cases/processes.ts';
import { RESOURCE_CASES } from './cases/resources.ts';
import type { EscapeCase, Need } from './escape-case.ts';
import { renderTable } from './escape-table.ts';
import { probeTestHost, runnersOf } from './host-runners.ts';

// Every attack with nothing around it, then at every tier that claims to stop it. The table in the
// docs holds exactly the claims that are tested here.

const SECTIONS: Readonly<Record<string, readonly EscapeCase[]>> = {
  Files: FILESYSTEM_CASES,
  Processes: PROCESS_CASES,
  Kernel: KERNEL_CASES,
  Network: NETWORK_CASES,
  'Code and output': NODE_CASES,
  Resources: RESOURCE_CASES,
  'The channel to the supervisor': CHANNEL_CASES,
};
/** In files of their own: `fail-closed`, `supervisor-death`. */
const ELSEWHERE = [
  ...['fc-01', 'fc-02', 'fc-03', 'fc-04', 'fc-05', 'fc-06', 'fc-07', 'fc-08'],
  ...['node-11', 'proc-11'],
];
const SHARED = fileURLToPath(new URL('../../../../shared/cases/escape.json', import.meta.url));
const TABLE = fileURLToPath(new URL('../../docs/escape-table.md', import.meta.url));

/** Names lead to loopback, which the real rule never connects to; one of them is rebound. */
const REBOUND = '169.254.169.254';
const runners = runnersOf(await probeTestHost(), {
  resolve: async (host) => [host === 'rebound.test' ? REBOUND : '127.0.0.1'],
  forbidden: { has: (address) => address === REBOUND },
});
const plain = runners.get('process');
if (plain === undefined) throw new Error('there is always a runner for processes');
afterAll(() => Promise.all([...runners.values()].map((runner) => runner.close())));

const PRESENT: Readonly<Record<Need, boolean>> = {
  gcc: spawnSync('gcc', ['--version']).status === 0,
  script: existsSync('/usr/bin/script'),
};

async function attempt(attack: EscapeCase, tier: Tier | 'unprotected'): Promise<boolean> {
  const runner = tier === 'unprotected' ? plain : runners.get(tier);
  if (runner === undefined) throw new Error(`no runner for \`${tier}\``);
  const on = new Attempt(tier, runner, attack);
  try {
    return await attack.attempt(on);
  } finally {
    on.clean();
  }
}

describe.each(Object.entries(SECTIONS))('%s', (_section, cases) => {
  describe.concurrent.each(cases.map((attack) => [attack.ids[0], attack] as const))(
    '%s',
    (_id, attack) => {
      const missing = (attack.needs ?? []).filter((need) => !PRESENT[need]);
      for (const need of missing) requireLayer(need);
      const reason = attack.noControl?.() ?? null;
      const verb = attack.mustWork === true ? 'works' : 'succeeds';
      test.skipIf(missing.length > 0 || reason !== null)(
        `${verb} unprotected: ${attack.title}${reason === null ? '' : ` (${reason})`}`,
        async () => {
          expect(await attempt(attack, 'unprotected')).toBe(true);
        },
      );
      for (const tier of attack.claimedBy) {
        test.skipIf(missing.length > 0 || !runners.has(tier))(
          `${tier}: ${attack.title}`,
          async () => {
            expect(await attempt(attack, tier)).toBe(attack.mustWork === true);
          },
        );
      }
    },
  );
});

describe('the table of attacks', () => {
  test('is what this suite tests', () => {
    const table = renderTable(SECTIONS);
    if (process.env['ENFORCECORE_TEST_UPDATE'] === '1') writeFileSync(TABLE, table);
    expect(readFileSync(TABLE, 'utf8')).toBe(table);
  });

  test.skipIf(!existsSync(SHARED))('holds every case of the research', () => {
    const { cases } = JSON.parse(readFileSync(SHARED, 'utf8')) as { cases: { id: string }[] };
    const inTable = Object.values(SECTIONS)
      .flat()
      .flatMap(({ ids }) => ids);
    const covered = new Set<string>([...inTable, ...ELSEWHERE]);
    expect(cases.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
  });
});
