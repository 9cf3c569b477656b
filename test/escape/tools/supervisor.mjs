// A supervisor in a process of its own, so that a tool can attack it and a test can kill it. Runs one
// job at one tier: prints `started` when the runner has begun, then the report.
import { openHostTiers, resolveTarget } from '../../../dist/src/isolation/index.js';

const { tier, target, args, confinement } = JSON.parse(process.env.ESCAPE_JOB, (_key, value) =>
  value === 'Infinity' ? Number.POSITIVE_INFINITY : value,
);
const { runners } = await openHostTiers([]);
const runner = runners.find((candidate) => candidate.tier === tier);
const job = {
  callId: crypto.randomUUID(),
  tool: 'attack',
  target: await resolveTarget(target, {
    cwd: process.cwd(),
    searchPath: process.env.PATH ?? '',
    digests: new Map(),
  }),
  argsJson: JSON.stringify(args),
  confinement: { ...confinement, explicit: new Set(confinement.explicit) },
  remainingMs: confinement.limits.wallMs,
  stop: new AbortController().signal,
};
process.stdout.write('started\n');
process.stdout.write(`${JSON.stringify(await runner.run(job))}\n`);
process.exit(0);
