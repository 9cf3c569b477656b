/**
 * Runs a command inside a sandbox with a way out: `network-bridge-entry.js SOCKET -- COMMAND …`,
 * the proxy's credentials in `ENFORCECORE_EGRESS`. The command has our standard streams, ends as
 * if it had been started itself, and is told of the proxy in the usual variables.
 */
import { spawn } from 'node:child_process';
import { openBridge, proxyEnvironment } from './network-bridge.ts';

const [socketPath = '', separator, command = '', ...args] = process.argv.slice(2);
const { ENFORCECORE_EGRESS: credentials = '', ...environment } = process.env;

/** As a shell answers for a command that cannot be started. */
const NOT_FOUND = 127;

void main();

async function main(): Promise<void> {
  if (separator !== '--' || command === '') {
    process.stderr.write('usage: network-bridge-entry.js SOCKET -- COMMAND [ARGUMENT …]\n');
    process.exit(2);
  }
  const way = { socketPath, credentials };
  const port = await openBridge(way);
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...environment, ...proxyEnvironment(port, way) },
  });
  child.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(NOT_FOUND);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.kill(process.pid, signal);
  });
}
