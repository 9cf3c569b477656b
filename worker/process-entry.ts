/**
 * What a child process starts as. The supervisor's end of descriptor 3 is the only way in or out
 * that carries meaning; when it closes, the supervisor is gone and this process ends itself.
 */
import { Socket } from 'node:net';
import { checkOwnStatus } from './confinement-check.ts';
import type { WorkerSetup } from './protocol.ts';
import { refuse, serveOneCall } from './worker-session.ts';

const [, , words] = process.argv;
const setup = words === undefined ? null : (JSON.parse(words) as WorkerSetup);
const channel = new Socket({ fd: 3, readable: true, writable: true });
channel.on('close', () => process.exit(1));

const gap = setup === null ? null : checkOwnStatus(setup);
if (gap === null) {
  if (setup?.way !== undefined) {
    // Loaded only where it is needed: each module costs a millisecond of every start.
    const bridge = await import('./network-bridge.ts');
    const port = await bridge.openBridge(setup.way);
    bridge.routeConnections(setup.way);
    Object.assign(process.env, bridge.proxyEnvironment(port, setup.way));
  }
  await serveOneCall(channel, async () => {
    await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  });
} else {
  await refuse(channel, gap);
}
process.exit(0);

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
