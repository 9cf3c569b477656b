import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeLinuxHost } from '../../src/isolation/linux-host.ts';
import { tool } from '../fixtures/job.ts';
import { requireLayer } from '../fixtures/require-layer.ts';

// Every client there is, at both tiers that confine the network, on every Node that is named. CI runs
// the suite on 20, 22 and 24; elsewhere ENFORCECORE_TEST_NODES lists other binaries, and
// ENFORCECORE_TEST_UNDICI the folders of versions of the package `undici`, separated by colons.

const { ENFORCECORE_TEST_NODES = '', ENFORCECORE_TEST_UNDICI = '' } = process.env;
const NODES = [process.execPath, ...ENFORCECORE_TEST_NODES.split(':').filter(Boolean)];
const UNDICI = ENFORCECORE_TEST_UNDICI.split(':').filter(Boolean);
const SUPERVISOR = fileURLToPath(new URL('../fixtures/brokering-supervisor.mjs', import.meta.url));
const host = await probeLinuxHost();
const TIERS = [
  ...('cause' in host ? [] : ['hardened']),
  ...('cause' in host || typeof host.bubblewrap !== 'string' ? [] : ['isolated']),
];
if (TIERS.length < 2) requireLayer('bwrap');
if (UNDICI.length === 0) process.stderr.write('SKIPPED: tests of the package `undici`\n');

const PAGES = { fetch: 'page /fetch', secure: 'page /secure', denied: 'EACCES' };
const EXPECTED = {
  hardened: { ...PAGES, http: 'EAI_AGAIN', https: 'EAI_AGAIN', net: 'EAI_AGAIN' },
  isolated: { ...PAGES, http: 'page /http', https: 'page /https', net: 'connected' },
};
const WEB_SOCKET = { hardened: 'error', isolated: 'open' };

let folder = '';
const servers: Server[] = [];
let args = {};
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'reach-')));
  chmodSync(folder, 0o755);
  const files = ['-keyout', join(folder, 'tls.k'), '-out', join(folder, 'tls.crt')];
  spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files],
    ...['-subj', '/CN=allowed.test', '-addext', 'subjectAltName=DNS:allowed.test'],
  ]);
  const [key, cert] = [readFileSync(join(folder, 'tls.k')), readFileSync(join(folder, 'tls.crt'))];
  const plain = createServer((incoming, response) => response.end(`page ${incoming.url}`));
  // RFC 6455 section 4.2.2, with the key of its example: any other is refused by the client.
  plain.on('upgrade', (incoming, socket) => {
    const hash = spawnSync(process.execPath, [
      '-p',
      `crypto.createHash('sha1').update('${incoming.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')`,
    ]);
    const accept = String(hash.stdout).trim();
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => undefined);
  });
  const secure = createSecureServer({ key, cert }, (incoming, response) =>
    response.end(`page ${incoming.url}`),
  );
  servers.push(plain, secure);
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port);
  args = { plain: `http://allowed.test:${first}`, secure: `https://allowed.test:${second}` };
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

/** What the clients of a tool got, under a supervisor that is run by this Node. */
async function reach(node: string, tier: string, module: string, others: readonly string[] = []) {
  const trust = { NODE_EXTRA_CA_CERTS: join(folder, 'tls.crt') };
  const job = {
    ...{ tier, module, args: { ...args, others }, limits: { wallMs: 30_000 } },
    // At `isolated` the tool itself speaks TLS.
    ...{ environment: trust, read: [join(folder, 'tls.crt')] },
  };
  const child = spawn(node, [SUPERVISOR], {
    env: { ...process.env, ...trust, BROKERING_JOB: JSON.stringify(job) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'close');
  const { end } = JSON.parse(text) as { end: { status: string; value: Record<string, unknown> } };
  expect(end).toMatchObject({ status: 'ok' });
  return end.value;
}

describe.each(NODES)('on %s', (node) => {
  test.each(TIERS as (keyof typeof EXPECTED)[])('at `%s`', async (tier) => {
    const { webSocket, ...got } = await reach(node, tier, tool('reach-domains.mjs'));
    expect(got).toEqual(EXPECTED[tier]);
    expect([WEB_SOCKET[tier], 'not in this Node']).toContain(webSocket);
  });

  test
    .skipIf(UNDICI.length === 0)
    .each(TIERS.flatMap((tier) => UNDICI.map((source) => [tier, source] as const)))(
    'at `%s` with the package in %s',
    async (tier, source) => {
      const place = mkdtempSync(join(folder, 'undici-'));
      chmodSync(place, 0o755);
      cpSync(source, join(place, 'node_modules/undici'), { recursive: true });
      copyFileSync(tool('reach-domains.mjs'), join(place, 'tool.mjs'));
      const got = await reach(node, tier, join(place, 'tool.mjs'), ['undici']);
      expect(got['undici']).toBe('page /own,page /request');
    },
  );
});
