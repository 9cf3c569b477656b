/**
 * What a child process starts as. The supervisor's end of descriptor 3 is the only way in or out
 * that carries meaning; when it closes, the supervisor is gone and this process ends itself.
 */
import { Socket } from 'node:net';
import { checkOwnStatus } from './confinement-check.ts';
import type { WorkerSetup } from './protocol.ts';
import { refuse, serveCalls } from './worker-session.ts';

const [, , words] = process.argv;
const setup = words === undefined ? null : (JSON.parse(words) as WorkerSetup);
const channel = new Socket({ fd: 3, readable: true, writable: true });
channel.on('close', () => process.exit(1));
// Before the tool is loaded: many tools replace `process.stdout.write` to keep it quiet.
const outputs = [flusherOf(process.stdout), flusherOf(process.stderr)];

void main();

/** Rejects only where this process must not go on: an unhandled rejection ends it. */
async function main(): Promise<void> {
  const gap = setup === null ? null : checkOwnStatus(setup);
  if (gap === null) await serve();
  else await refuse(channel, gap);
  process.exit(0);
}

async function serve(): Promise<void> {
  if (setup?.way !== undefined) {
    // Loaded only where it is needed: each module costs a millisecond of every start.
    const bridge = await import('./network-bridge.ts');
    const port = await bridge.openBridge(setup.way);
    bridge.routeConnections(setup.way);
    Object.assign(process.env, bridge.proxyEnvironment(port, setup.way));
  }
  await serveCalls(channel, async () => {
    await Promise.all(outputs.map((flush) => flush()));
  });
}

function flusherOf(stream: NodeJS.WriteStream): () => Promise<void> {
  const write = stream.write.bind(stream) as (text: string, done: () => void) => boolean;
  return () =>
    new Promise((resolve) => {
      // A stream that the tool ended takes no more, and has nothing left to flush.
      if (stream.writable) write('', resolve);
      else resolve();
    });
}
