import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  getDefaultAutoSelectFamily,
  type Socket,
  setDefaultAutoSelectFamily,
  type Server as TcpServer,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import {
  type EgressProxy,
  type EgressProxyOptions,
  startEgressProxy,
} from '../../src/isolation/egress-proxy.ts';

const RULES = { allowedDomains: ['allowed.test', '*.rebind.test'], deniedDomains: [] };
let folder = '';
let upstream: Server;
let port = 0;
let hits: IncomingHttpHeaders[] = [];
let records: EgressRecord[] = [];
const proxies: EgressProxy[] = [];
const lookups: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'egress-'));
  hits = [];
  records = [];
  lookups.length = 0;
  upstream = createServer((incoming, response) => {
    hits.push(incoming.headers);
    incoming.resume();
    response.end(`upstream:${incoming.url}`);
  });
  port = await listen(upstream);
});
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.close().catch(() => undefined);
  upstream.closeAllConnections();
  upstream.close();
  rmSync(folder, { recursive: true });
});

async function listen(server: TcpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
/** Resolves `*.test` to loopback, where the tests listen; the real rule would refuse that. */
async function start(options: Partial<EgressProxyOptions> = {}): Promise<EgressProxy> {
  const proxy = await startEgressProxy({
    rules: RULES,
    socketPath: join(folder, `${proxies.length}.sock`),
    onRecord: (record) => records.push(record),
    resolve: async (host) => {
      lookups.push(host);
      return host.endsWith('.rebind.test') ? ['169.254.169.254'] : ['127.0.0.1'];
    },
    forbidden: { has: (address) => address.startsWith('169.254.') },
    ...options,
  });
  proxies.push(proxy);
  return proxy;
}
const authorization = ({ credentials }: EgressProxy) => ({
  'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}`,
});
/** A plain request through the proxy. */
async function get(
  proxy: EgressProxy,
  url: string,
  headers: Record<string, string> = authorization(proxy),
): Promise<string> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: proxy.socketPath, path: url, headers }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
/** A tunnel, with the answer of the proxy to CONNECT. */
async function tunnel(
  proxy: EgressProxy,
  target: string,
): Promise<{ status: number; socket: Socket }> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: proxy.socketPath,
      method: 'CONNECT',
      path: target,
      headers: authorization(proxy),
    });
    outgoing.on('connect', ({ statusCode = 0 }, socket) => {
      socket.on('error', () => undefined);
      resolve({ status: statusCode, socket });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
/** Bytes exactly as written, and everything that comes back. */
async function raw(proxy: EgressProxy, text: string): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(proxy.socketPath, () => socket.end(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => resolve(answer));
    socket.on('close', () => resolve(answer));
  });
}

test('lets an allowed request through and records it with its bytes', async () => {
  const proxy = await start();
  expect(await get(proxy, `http://allowed.test:${port}/x?y`)).toBe('200 upstream:/x?y');
  await proxy.close();
  expect(records).toEqual([
    {
      host: 'allowed.test',
      port,
      effect: 'allow',
      addresses: ['127.0.0.1'],
      bytesIn: expect.any(Number),
      bytesOut: expect.any(Number),
    },
  ]);
  expect(records[0]?.bytesIn).toBeGreaterThan(20);
  expect(records[0]?.bytesOut).toBeGreaterThan(20);
});

test('tunnels to an allowed host and counts what goes through', async () => {
  const echo = createTcpServer((socket) => socket.pipe(socket));
  const echoPort = await listen(echo);
  const proxy = await start();
  const { status, socket } = await tunnel(proxy, `ALLOWED.test.:${echoPort}`);
  expect(status).toBe(200);
  const answer = new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
  socket.write('x'.repeat(1000));
  expect(await answer).toBe('x'.repeat(1000));
  await proxy.close();
  echo.close();
  expect(records).toMatchObject([
    { host: 'allowed.test', port: echoPort, bytesIn: 1000, bytesOut: 1000 },
  ]);
});

test.each([
  ['http://evil.test/', 'not-allowed'],
  ['http://169.254.169.254/latest/meta-data', 'not-allowed'],
  ['http://127.0.0.1/', 'not-allowed'],
  ['http://2130706433/', 'not-allowed'],
  ['http://[::ffff:127.0.0.1]/', 'not-allowed'],
  ['http://allowed.test@evil.test/', 'not-allowed'],
  ['http://evil.test/@allowed.test', 'not-allowed'],
  ['http://a.rebind.test/', 'forbidden-address'],
])('refuses %s (%s) and records that', async (url, reason) => {
  const proxy = await start();
  expect(await get(proxy, url)).toBe(`403 enforcecore: ${reason}`);
  expect(hits).toEqual([]);
  expect(records).toMatchObject([
    { effect: 'deny', reason, bytesIn: 0, bytesOut: 0, addresses: [] },
  ]);
});

test.each([
  ['169.254.169.254:80', 403],
  ['0x7f.1:80', 403],
  ['[::1]:80', 403],
  ['evil.test:443', 403],
  ['allowed.test%2eevil.test:443', 403],
  ['a.rebind.test:443', 403],
  ['allowed.test', 400],
  ['allowed.test:0', 403],
])('refuses a tunnel to %s with %i', async (target, status) => {
  const proxy = await start();
  const answer = await tunnel(proxy, target);
  expect(answer.status).toBe(status);
  expect(records.filter(({ effect }) => effect === 'allow')).toEqual([]);
});

test('resolves no name that is not allowed: the question alone would carry data out', async () => {
  const proxy = await start();
  await get(proxy, 'http://secret.evil.test/');
  await get(proxy, `http://allowed.test:${port}/`);
  expect(lookups).toEqual(['allowed.test']);
});

test('connects to the address it judged, although the name leads elsewhere by then', async () => {
  let calls = 0;
  const resolve = async () => {
    calls += 1;
    return calls === 1 ? ['127.0.0.1'] : ['169.254.169.254'];
  };
  const proxy = await start({ resolve });
  expect(await get(proxy, `http://allowed.test:${port}/`)).toContain('200');
  expect(await get(proxy, `http://allowed.test:${port}/`)).toContain('403');
  expect(calls).toBe(2);
});

test.each([
  ['nothing', {}],
  [
    'a wrong password',
    { 'proxy-authorization': `Basic ${Buffer.from('call:x').toString('base64')}` },
  ],
  ['another scheme', { 'proxy-authorization': 'Bearer x' }],
])('answers nobody who brings %s', async (_, headers) => {
  const proxy = await start();
  expect(await get(proxy, `http://allowed.test:${port}/`, headers)).toMatch(/^40[07] /);
  expect(hits).toEqual([]);
  expect(lookups).toEqual([]);
});

test('takes the credentials of its own call only, and passes them on to nobody', async () => {
  const [one, other] = [await start(), await start()];
  expect(await get(one, `http://allowed.test:${port}/`, authorization(other))).toMatch(/^407/);
  await get(one, `http://allowed.test:${port}/`);
  expect(hits).toHaveLength(1);
  expect(hits[0]).not.toHaveProperty('proxy-authorization');
});

test('names to the server the host that was judged, whatever the Host header says', async () => {
  const proxy = await start();
  const headers = { ...authorization(proxy), host: 'internal.test' };
  await get(proxy, `http://allowed.test:${port}/`, headers);
  expect(hits.map(({ host }) => host)).toEqual([`allowed.test:${port}`]);
});

test('records every destination of a connection that is used for several', async () => {
  const proxy = await start();
  const header = `proxy-authorization: ${authorization(proxy)['proxy-authorization']}\r\n`;
  const line = (host: string, extra = '') =>
    `GET http://${host}:${port}/ HTTP/1.1\r\nhost: x\r\n${header}${extra}\r\n`;
  const requests = [
    line('allowed.test'),
    line('evil.test'),
    line('allowed.test', 'connection: close\r\n'),
  ];
  expect(await raw(proxy, requests.join(''))).toContain('403');
  await proxy.close();
  expect(records.map(({ host, effect }) => `${effect} ${host}`).sort()).toEqual([
    'allow allowed.test',
    'allow allowed.test',
    'deny evil.test',
  ]);
});

test('waits for the answer of a server that is told everything first', async () => {
  const counting = createTcpServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('end', () => setImmediate(() => socket.end(`${bytes}`)));
  });
  const countingPort = await listen(counting);
  const proxy = await start();
  const { socket } = await tunnel(proxy, `allowed.test:${countingPort}`);
  socket.end('x'.repeat(100_000));
  const answer = await new Promise((resolve) =>
    socket.once('data', (chunk) => resolve(String(chunk))),
  );
  counting.close();
  expect(answer).toBe('100000');
});

test('ends every connection when the call ends, also one that waits for an answer', async () => {
  const silent = createTcpServer(() => undefined);
  const silentPort = await listen(silent);
  const proxy = await start();
  const { socket } = await tunnel(proxy, `allowed.test:${silentPort}`);
  const ended = new Promise((resolve) => socket.once('close', resolve));
  await proxy.close();
  await ended;
  silent.close();
  expect(records).toMatchObject([{ effect: 'allow', host: 'allowed.test' }]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a resolver that fails or hangs leads nowhere', async () => {
  const proxy = await start({ resolve: () => Promise.reject(new Error('SERVFAIL')) });
  expect(await get(proxy, 'http://allowed.test/')).toBe('403 enforcecore: not-resolved');
});

test('a server that cannot be reached is an error of the gateway, and is recorded', async () => {
  const proxy = await start();
  expect(await get(proxy, 'http://allowed.test:1/')).toMatch(/^5\d\d /);
  await proxy.close();
  expect(records).toMatchObject([{ host: 'allowed.test', port: 1, effect: 'allow' }]);
});

test('refuses everything once a record could not be taken, and says why at the end', async () => {
  const onRecord = () => {
    throw new Error('the trail is full');
  };
  const proxy = await start({ onRecord });
  await get(proxy, 'http://evil.test/');
  expect(await get(proxy, `http://allowed.test:${port}/`)).toMatch(/^403/);
  expect(hits).toEqual([]);
  await expect(proxy.close()).rejects.toThrow('the trail is full');
});

test('stops after so many requests, and the last record says so', async () => {
  const proxy = await start({ requestsMax: 2 });
  for (const status of [200, 403, 403, 403])
    expect(await get(proxy, `http://allowed.test:${port}/`)).toMatch(new RegExp(`^${status}`));
  await proxy.close();
  expect(records.map(({ effect, reason }) => reason ?? effect).sort()).toEqual([
    'allow',
    'too-many',
  ]);
});

test('unless told otherwise asks the host’s resolver, and never connects to this host', async () => {
  const rules = { allowedDomains: ['localhost', '*.invalid'], deniedDomains: [] };
  const onRecord = (record: EgressRecord) => records.push(record);
  const proxy = await startEgressProxy({ rules, socketPath: join(folder, 'own.sock'), onRecord });
  proxies.push(proxy);
  expect(await get(proxy, `http://localhost:${port}/`)).toBe('403 enforcecore: forbidden-address');
  expect(await get(proxy, 'http://nowhere.invalid/')).toBe('403 enforcecore: not-resolved');
  expect(hits).toEqual([]);
});

test('holds a connection to its address also where one address is asked for', async () => {
  const before = getDefaultAutoSelectFamily();
  setDefaultAutoSelectFamily(false);
  const proxy = await start();
  const answer = await get(proxy, `http://allowed.test:${port}/`);
  setDefaultAutoSelectFamily(before);
  expect(answer).toContain('200');
});

test('survives what is no request at all', async () => {
  const proxy = await start();
  const { credentials } = proxy;
  const auth = Buffer.from(credentials).toString('base64');
  for (const text of [
    '',
    '\0\0\0\0',
    'GET',
    'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
    `GET http://[ HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic ${auth}\r\n\r\n`,
    `GET https://allowed.test/ HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic ${auth}\r\n\r\n`,
    `GET ftp://allowed.test/ HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic ${auth}\r\n\r\n`,
    `CONNECT /x HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic ${auth}\r\n\r\n`,
    `CONNECT allowed.test:99999 HTTP/1.1\r\nhost: x\r\n\r\n`,
    'GET http://allowed.test/ HTTP/1.1\r\nproxy-authorization: Basic\r\n\r\n',
    `POST http://allowed.test:${port}/ HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nproxy-authorization: Basic ${auth}\r\n\r\n`,
    `\x16\x03\x01${'\xff'.repeat(2000)}`,
    `GET http://${'a'.repeat(20_000)}/ HTTP/1.1\r\n\r\n`,
  ])
    await raw(proxy, text);
  expect(await get(proxy, `http://allowed.test:${port}/`)).toContain('200');
  expect(hits).toHaveLength(1);
});

test('a socket path that is too long is an error, not another path', async () => {
  await expect(start({ socketPath: join(folder, 'x'.repeat(120)) })).rejects.toThrow();
});
