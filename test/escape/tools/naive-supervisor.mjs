// The positive control of the attacks on the channel: a supervisor as one would first write it. It
// trusts what a child says, on a pipe with frames (`frames`) or on Node's own channel (`ipc`).
import { fork, spawn } from 'node:child_process';

const [, , mode, child, args] = process.argv;
const believed = {};

function believe(message) {
  // As `audit` and `merge` would.
  JSON.stringify(message);
  merge(believed, message);
}

function merge(into, from) {
  for (const key of Object.keys(from)) {
    if (typeof from[key] === 'object' && from[key] !== null && into[key])
      merge(into[key], from[key]);
    else into[key] = from[key];
  }
}

function readFrames(stream) {
  let rest = Buffer.alloc(0);
  let messages = 0;
  stream.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    if (rest.length > 1e7) tell({ grew: true });
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      believe(JSON.parse(rest.subarray(4, end).toString()));
      rest = rest.subarray(end);
      messages += 1;
      if (messages > 100_000) tell({ flooded: true });
    }
  });
  stream.on('close', () => tell({}));
}

function tell(more) {
  process.stdout.write(`${JSON.stringify({ ...believed, isAdmin: {}.isAdmin, ...more })}\n`);
  process.exit(0);
}

setTimeout(() => tell({ waited: true }), 15_000);
if (mode === 'ipc') {
  const worker = fork(child, [args]);
  worker.on('message', believe);
  worker.on('exit', () => setTimeout(() => tell({}), 50));
} else {
  const worker = spawn(process.execPath, [child, args], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  readFrames(worker.stdio[3]);
}
