import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bubblewrapArguments } from '../../src/isolation/bubblewrap.ts';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import { type EgressProxy, startEgressProxy } from '../../src/isolation/egress-proxy.ts';
import { buildFilesystemView } from '../../src/isolation/filesystem-view.ts';
import { bubblewrapWorks, isRoot, lacks, ordinaryUser } from '../isolation/host-layers.ts';
import { startBubblewrap } from '../isolation/start-bubblewrap.ts';

const { ENFORCECORE_TEST_NODES = '' } = process.env;
const NODES = [process.execPath, ...ENFORCECORE_TEST_NODES.split(':').filter(Boolean)];
const RULES = { allowedDomains: ['allowed.test'], deniedDomains: [] };
const INSIDE = '/run/enforcecore/egress.sock';

let folder = '';
let plain: Server;
let secure: Server;
let echo: Server;
let ports = { plain: 0, secure: 0, echo: 0 };
let records: EgressRecord[] = [];
let proxy: EgressProxy;

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'bridge-')));
  chmodSync(folder, 0o755);
  const files = ['-keyout', join(folder, 'tls.k'), '-out', join(folder, 'tls.crt')];
  spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files],
    ...['-subj', '/CN=allowed.test', '-addext', 'subjectAltName=DNS:allowed.test'],
  ]);
  const answer: Parameters<typeof createServer>[1] = (incoming, response) => {
    incoming.pipe(response);
    if (incoming.method === 'GET') response.end(`hello ${incoming.url}`);
  };
  const [key, cert] = [readFileSync(join(folder, 'tls.k')), readFileSync(join(folder, 'tls.crt'))];
  plain = createServer(answer);
  secure = createSecureServer({ key, cert }, answer);
  echo = createTcpServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  for (const server of [plain, secure, echo])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  ports = { plain: portOf(plain), secure: portOf(secure), echo: portOf(echo) };
  cpSync('dist/worker', join(folder, 'worker'), { recursive: true });
  writeFileSync(join(folder, 'worker/package.json'), '{"type":"module"}');
});
afterAll(() => {
  for (const server of [plain, secure, echo]) server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  records = [];
  mkdirSync(join(folder, 'sockets'));
  proxy = await startEgressProxy({
    rules: RULES,
    socketPath: join(folder, 'sockets/egress.sock'),
    onRecord: (record) => records.push(record),
    resolve: async () => ['127.0.0.1'],
    forbidden: { has: () => false },
  });
});
afterEach(async () => {
  await proxy.close();
  rmSync(join(folder, 'sockets'), { recursive: true });
});

/** A tool of which each line is a client of Node; prints what each of them got. */
const tool = (socketPath: string) => `
  import { routeConnections } from '${folder}/worker/network-bridge.js';
  routeConnections({ socketPath: '${socketPath}', credentials: '${proxy.credentials}' });
  const http = await import('node:http'), https = await import('node:https'), net = await import('node:net'), tls = await import('node:tls');
  const [plain, secure, echo] = ${JSON.stringify([ports.plain, ports.secure, ports.echo])};
  const attempt = async (use) => { try { return await use() } catch (e) { return (e.cause ?? e).code ?? String(e) } };
  const body = (client, url) => new Promise((resolve, reject) => client.get(url, (response) => {
    let text = ''; response.on('data', (chunk) => text += chunk); response.on('end', () => resolve(text));
  }).on('error', reject));
  const raw = (socket, event = 'connect') => new Promise((resolve, reject) => {
    let text = ''; socket.on(event, () => socket.end('ping')); socket.on('data', (chunk) => text += chunk);
    socket.on('end', () => resolve(text)); socket.on('error', reject);
  });
  const local = net.createServer((socket) => socket.end('local')).listen(0);
  const results = {
    fetch: await attempt(async () => (await fetch('http://allowed.test:' + plain + '/fetch')).text()),
    fetchPost: await attempt(async () => (await fetch('http://allowed.test:' + plain, { method: 'POST', body: 'x'.repeat(300000) })).text().then((text) => text.length)),
    fetchTls: await attempt(async () => (await fetch('https://allowed.test:' + secure + '/tls')).text()),
    http: await attempt(() => body(http, 'http://allowed.test:' + plain + '/http')),
    agent: await attempt(() => body(http, { host: 'allowed.test', port: plain, path: '/agent', agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) })),
    https: await attempt(() => body(https, 'https://allowed.test:' + secure + '/https')),
    net: await attempt(() => raw(net.connect(echo, 'allowed.test'))),
    netListener: await attempt(() => new Promise((resolve, reject) => { const s = net.connect({ host: 'allowed.test', port: echo }, () => { resolve('connected'); s.destroy() }); s.on('error', reject) })),
    early: await attempt(() => new Promise((resolve, reject) => { const s = net.connect(echo, 'allowed.test'); s.end('early'); s.on('data', (chunk) => resolve(String(chunk))).on('error', reject) })),
    local: await attempt(() => new Promise((resolve, reject) => net.connect(local.address().port).on('data', (chunk) => resolve(String(chunk))).on('error', reject))),
    denied: await attempt(async () => (await fetch('https://evil.test/')).text()),
    deniedHttp: await attempt(() => body(http, 'http://169.254.169.254/latest')),
    injected: await attempt(() => raw(net.connect(80, 'evil.test:80 HTTP/1.1\\r\\nx: y\\r\\n\\r\\n'))),
    destroyed: await attempt(() => new Promise((resolve) => { const s = net.connect(echo, 'allowed.test'); s.on('close', () => resolve('closed')); s.destroy() })),
  };
  local.close();
  console.log(JSON.stringify(results));
  setTimeout(() => process.exit(), 500).unref();`;

const EXPECTED = {
  fetch: 'hello /fetch',
  fetchPost: 300_000,
  fetchTls: 'hello /tls',
  http: 'hello /http',
  agent: 'hello /agent',
  https: 'hello /https',
  net: 'ping',
  netListener: 'connected',
  early: 'early',
  local: 'local',
  denied: 'EACCES',
  deniedHttp: 'EACCES',
  injected: 'EACCES',
  destroyed: 'closed',
};

async function output(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<string> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  return await new Promise((resolve) => child.on('close', () => resolve(text)));
}
const deniedHosts = () =>
  records
    .filter(({ effect }) => effect === 'deny')
    .map(({ host }) => host)
    .sort();

describe.each(NODES)('on %s', (node) => {
  test('every client of Node goes through the proxy without being asked to', async () => {
    const code = tool(proxy.socketPath);
    const env = { NODE_EXTRA_CA_CERTS: join(folder, 'tls.crt') };
    const text = await output(node, ['--input-type=module', '-e', code], env);
    expect(JSON.parse(text)).toEqual(EXPECTED);
    expect(deniedHosts()).toEqual(['169.254.169.254', 'evil.test', 'invalid']);
  });

  test.skipIf(lacks('bwrap', bubblewrapWorks()))('in a sandbox without a network too', async () => {
    const entry = join(folder, 'worker/tool.mjs');
    writeFileSync(entry, tool(INSIDE));
    const { stdout, stderr } = await sandboxed([realpathSync(node), entry], realpathSync(node));
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(EXPECTED);
  });
});

/** Runs a command in a sandbox whose only way out is the proxy's socket. */
async function sandboxed(command: readonly [string, ...string[]], node: string) {
  const view = buildFilesystemView({
    entry: node,
    kind: 'command',
    rules: { read: [folder, realpathSync('/usr/bin')], write: [], deny: [], execute: [] },
    tier: 'isolated',
    profile: 'compat',
    nodePath: node,
    runtimeDir: folder,
    home: '/nobody',
    protectedPaths: [],
    scratch: '/scratch',
  });
  const launch = bubblewrapArguments({
    view,
    scratch: { path: '/scratch', bytes: 1 << 20 },
    user: { ...ordinaryUser, droppedInside: false },
    network: 'bridged',
    sockets: [{ path: proxy.socketPath, target: INSIDE }],
    firstDescriptor: 6,
    command: [
      '/usr/bin/env',
      `NODE_EXTRA_CA_CERTS=${join(folder, 'tls.crt')}`,
      `ENFORCECORE_EGRESS=${proxy.credentials}`,
      ...command,
    ],
  });
  return await startBubblewrap(launch, 6, isRoot ? ordinaryUser : {});
}

describe.skipIf(lacks('bwrap', bubblewrapWorks()))(
  'a command in a sandbox without a network',
  () => {
    const node = realpathSync(process.execPath);
    const bridged = (...command: readonly string[]) =>
      sandboxed(
        [node, join(folder, 'worker/network-bridge-entry.js'), INSIDE, '--', ...command],
        node,
      );
    const script = (code: string) => bridged('/usr/bin/python3', '-c', code);

    test('curl reaches what is allowed and nothing else', async () => {
      const allowed = `http://allowed.test:${ports.plain}/curl`;
      expect(await bridged('/usr/bin/curl', '-sS', allowed)).toMatchObject({
        code: 0,
        stdout: 'hello /curl',
      });
      const secure = `https://allowed.test:${ports.secure}/curl`;
      const trusted = ['--cacert', join(folder, 'tls.crt')];
      expect(await bridged('/usr/bin/curl', '-sS', ...trusted, secure)).toMatchObject({
        stdout: 'hello /curl',
      });
      const denied = await bridged(
        '/usr/bin/curl',
        '-sS',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        'http://evil.test/',
      );
      expect(denied.stdout).toBe('403');
      // Without the proxy there is no way out at all.
      const direct = await bridged(
        '/usr/bin/curl',
        '-sS',
        '--noproxy',
        '*',
        `http://127.0.0.1:${ports.plain}/`,
      );
      expect(direct).toMatchObject({ code: 7, stdout: '' });
      expect(deniedHosts()).toEqual(['evil.test']);
    });

    test('Python’s urllib reaches what is allowed and nothing else', async () => {
      const open = (url: string) =>
        script(`import urllib.request as u, urllib.error as e
try: print(u.urlopen('${url}').read().decode())
except e.HTTPError as error: print(error.code)`);
      expect((await open(`http://allowed.test:${ports.plain}/py`)).stdout).toBe('hello /py\n');
      expect((await open('http://evil.test/')).stdout).toBe('403\n');
    });

    test('ends as the command did, by code and by signal', async () => {
      expect(await bridged('/usr/bin/sh', '-c', 'exit 7')).toMatchObject({ code: 7 });
      expect(await bridged('/usr/bin/sh', '-c', 'kill -KILL $$')).toMatchObject({ code: 137 });
      expect(await bridged('/usr/bin/absent')).toMatchObject({ code: 127 });
      const usage = await sandboxed([node, join(folder, 'worker/network-bridge-entry.js')], node);
      expect(usage).toMatchObject({ code: 2, stderr: expect.stringContaining('usage') });
    });

    test('does not see the credentials under our own name', async () => {
      const { stdout } = await bridged('/usr/bin/env');
      expect(stdout).not.toContain('ENFORCECORE_EGRESS');
      expect(stdout).toContain('https_proxy=http://call:');
    });
  },
);
