// Appends to a trail until it is killed or has written what it was asked for, and prints what was
// acknowledged. Usage: writer-process.js OPTIONS-JSON ENTRIES IN-FLIGHT
import { writeSync } from 'node:fs';
import { openTrail } from '../../dist/src/audit/index.js';

const [options = '{}', entries = '0', inFlight = '1'] = process.argv.slice(2);
const trail = await openTrail(JSON.parse(options));
const total = Number(entries);
let next = 0;

async function appendOneByOne() {
  while (total === 0 || next < total) {
    const call = next++;
    const { seq, entryHash } = await trail.append({
      type: 'kill_switch',
      action: 'trip',
      reason: `${process.pid}-${call} ${'x'.repeat(call % 300)}`,
    });
    writeSync(1, `${seq} ${entryHash}\n`);
  }
}

writeSync(1, 'ready\n');
await Promise.all(Array.from({ length: Number(inFlight) }, appendOneByOne));
await trail.close();
