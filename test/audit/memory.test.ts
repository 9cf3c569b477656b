import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTrail } from '../../src/audit/index.ts';
import { decision, outcome, scratchPath } from './sample-trail.ts';

const { ENFORCECORE_TEST_SLOW } = process.env;
const ENTRIES = 1_000_000;
const IN_FLIGHT = 64;
// 103 MB are the program itself. Of the rest most is garbage that V8 has not collected yet: `inspect`
// makes an object of each line, `verify` makes none. Both would need gigabytes if they kept them.
const COMMANDS: readonly (readonly [mbMax: number, ...words: string[]])[] = [
  [150, 'verify'],
  [250, 'inspect', '--filter', 'status=timeout'],
  [250, 'inspect', '--tail', '20', '--filter', 'tool=fetch_page'],
  [250, 'inspect', '--json', '--limit', '900000'],
];

describe.skipIf(ENFORCECORE_TEST_SLOW !== '1')('a trail of a million entries', () => {
  const path = scratchPath();
  beforeAll(async () => {
    const trail = await openTrail({ path });
    for (let call = 0; call < ENTRIES / 2; call += IN_FLIGHT) {
      const calls = Array.from({ length: IN_FLIGHT }, (_, index) => `call-${call + index}`);
      await Promise.all(
        calls.flatMap((id) => [trail.append(decision(id)), trail.append(outcome(id))]),
      );
    }
    await trail.close();
  }, 300_000);

  test.each(COMMANDS)('under %i MB: %s %s %s', { timeout: 300_000 }, (mbMax, command, ...flags) => {
    const report = scratchPath('peak');
    const script = scratchPath('measure.mjs');
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS)));
process.argv = [process.argv[0], 'enforcecore', ${[String(command), path, ...flags].map((word) => JSON.stringify(word)).join()}];
await import(${JSON.stringify(new URL('../../bin/enforcecore.js', import.meta.url).href)});
`,
    );
    const run = spawnSync('sh', ['-c', `${process.execPath} ${script} | wc -l; cat ${report}`], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });
    const [, peakKb] = run.stdout.trim().split('\n').map(Number);
    expect(run.stderr).toBe('');
    expect((peakKb as number) / 1024).toBeLessThan(Number(mbMax));
  });
});
