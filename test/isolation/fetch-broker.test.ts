import { once } from 'node:events';
import { createServer as createWebServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EgressRecord } from '../../src/isolation/egress-gate.ts';
import { FetchBroker, type FetchBrokerOptions } from '../../src/isolation/fetch-broker.ts';
import { WorkerMessageError } from '../../src/isolation/worker-message.ts';
import {
  FETCH_PIECE_BYTES_MAX,
  FETCHES_OPEN_MAX,
  type FetchMessage,
  type FetchReply,
  type FetchRequest,
} from '../../worker/fetch-protocol.ts';
import { eventually } from '../fixtures/observe.ts';

// The worker of these tests says what it likes, and so do the servers.

const RULES = { allowedDomains: ['allowed.test', '*.rebound.test'], deniedDomains: [] };
const METADATA = '169.254.169.254';
const servers: Server[] = [];
const brokers: FetchBroker[] = [];
let hits: IncomingMessage[] = [];
let bodies: string[] = [];
let port = 0;

beforeEach(async () => {
  hits = [];
  bodies = [];
  const web = createWebServer((incoming, response) => {
    hits.push(incoming);
    let body = '';
    incoming.on('data', (chunk) => {
      body += chunk;
    });
    incoming.on('end', () => {
      bodies.push(body);
      response.end(`page ${incoming.url}`);
    });
  });
  port = await listen(web);
});
afterEach(async () => {
  for (const broker of brokers.splice(0)) broker.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server of one's own making: it gets the socket and everything that came first. */
async function serve(answer: (socket: Socket, head: string) => void): Promise<number> {
  return await listen(
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) => answer(socket, String(chunk)));
    }),
  );
}

/** A broker for names that lead to loopback, where the tests listen. */
function open(options: Partial<FetchBrokerOptions> = {}) {
  const replies: FetchReply[] = [];
  const records: EgressRecord[] = [];
  const lookups: string[] = [];
  const broker = new FetchBroker({
    rules: RULES,
    onRecord: (record) => records.push(record),
    reply: (reply) => replies.push(reply),
    resolve: async (host) => {
      lookups.push(host);
      return [host.endsWith('.rebound.test') ? METADATA : '127.0.0.1'];
    },
    forbidden: { has: (address) => address === METADATA },
    ...options,
  });
  brokers.push(broker);
  const say = (message: FetchMessage): void => broker.receive(message);
  const ask = (id: number, request: Partial<FetchRequest> = {}): void =>
    say({
      type: 'fetch',
      id,
      request: { method: 'GET', url: `http://allowed.test:${port}/`, headers: [], ...request },
    });
  /** The first answer of a kind. */
  const heard = async <T extends FetchReply['type']>(type: T, id = 1) => {
    const find = () => replies.find((reply) => reply.type === type && reply.id === id);
    await eventually(() => find() !== undefined);
    return find() as FetchReply & { type: T };
  };
  /** Asks for piece after piece, to the end. */
  const readAll = async (id = 1): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    const isEnded = () => replies.some((reply) => reply.id === id && reply.type === 'fetch-end');
    const isFailed = () =>
      replies.some((reply) => reply.id === id && reply.type === 'fetch-failed');
    while (!isEnded()) {
      const before = replies.length;
      say({ type: 'fetch-pull', id });
      await eventually(() => replies.length > before || isEnded() || isFailed());
      if (isFailed()) throw new Error(JSON.stringify(replies.at(-1)));
      for (const reply of replies.slice(before))
        if (reply.type === 'fetch-data' && reply.id === id)
          pieces.push(Buffer.from(reply.data, 'base64'));
    }
    return Buffer.concat(pieces);
  };
  return { broker, replies, records, lookups, say, ask, heard, readAll };
}

describe('a request that the rules allow', () => {
  test('is made, answered piece by piece and recorded', async () => {
    const { ask, heard, readAll, records } = open();
    ask(1, { url: `http://allowed.test:${port}/x?y`, headers: [['x-own', 'é']] });
    expect(await heard('fetch-response')).toMatchObject({ status: 200, statusText: 'OK' });
    expect(String(await readAll())).toBe('page /x?y');
    expect(hits[0]?.headers).toMatchObject({ host: `allowed.test:${port}`, 'x-own': 'é' });
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
    expect(records[0]?.bytesIn).toBeGreaterThan(50);
    expect(records[0]?.bytesOut).toBeGreaterThan(30);
  });

  test('gives no piece of its answer that was not asked for', async () => {
    const { ask, heard, replies, say } = open();
    ask(1);
    await heard('fetch-response');
    await new Promise((resolve) => setImmediate(resolve));
    expect(replies.map(({ type }) => type)).toEqual(['fetch-response']);
    say({ type: 'fetch-pull', id: 1 });
    await heard('fetch-data');
  });

  test.each([
    ['known', { bytes: 5 }, { 'content-length': '5' }],
    ['unknown', {}, { 'transfer-encoding': 'chunked' }],
  ])('sends a body of %s length, framed by the supervisor', async (_kind, body, framing) => {
    const { ask, say, heard, readAll } = open();
    ask(1, { method: 'POST', body });
    await heard('fetch-pull');
    say({ type: 'fetch-data', id: 1, data: Buffer.from('hello').toString('base64') });
    say({ type: 'fetch-end', id: 1 });
    await heard('fetch-response');
    await readAll();
    expect(hits[0]?.headers).toMatchObject(framing);
    expect(bodies).toEqual(['hello']);
  });

  test('asks for the next piece of a body when the last one is on its way', async () => {
    const { ask, say, replies, heard, readAll } = open();
    ask(1, { method: 'PUT', body: {} });
    const pulls = () => replies.filter(({ type }) => type === 'fetch-pull').length;
    for (let n = 1; n <= 5; n += 1) {
      await eventually(() => pulls() === n);
      say({ type: 'fetch-data', id: 1, data: Buffer.alloc(10, 'x').toString('base64') });
    }
    await eventually(() => pulls() === 6);
    say({ type: 'fetch-end', id: 1 });
    await heard('fetch-response');
    await readAll();
    expect(bodies).toEqual(['x'.repeat(50)]);
  });

  test('takes an empty body also before it was asked for it', async () => {
    const { ask, say, heard, readAll } = open();
    ask(1, { method: 'POST', body: { bytes: 0 } });
    say({ type: 'fetch-end', id: 1 });
    await heard('fetch-response');
    await readAll();
    expect(hits[0]?.headers).toMatchObject({ 'content-length': '0' });
  });

  test('repeats a header that the tool gave twice', async () => {
    const { ask, heard } = open();
    ask(1, {
      headers: [
        ['X-Twice', 'a'],
        ['x-twice', 'b'],
      ],
    });
    await heard('fetch-response');
    expect(hits[0]?.headers['x-twice']).toBe('a, b');
  });

  test('may name an address that is listed, and its header says so', async () => {
    const { ask, heard } = open({ rules: { allowedDomains: ['127.0.0.1'], deniedDomains: [] } });
    ask(1, { url: `http://127.0.0.1:${port}/` });
    await heard('fetch-response');
    expect(hits[0]?.headers.host).toBe(`127.0.0.1:${port}`);
  });
});

describe('a request that the rules refuse', () => {
  test.each([
    ['http://evil.test/', 'not-allowed'],
    [`http://${METADATA}/latest/meta-data`, 'not-allowed'],
    ['http://127.0.0.1/', 'not-allowed'],
    ['http://[::1]/', 'not-allowed'],
    ['http://[::ffff:7f00:1]/', 'not-allowed'],
    ['http://[64:ff9b::7f00:1]/', 'not-allowed'],
    ['http://localhost/', 'not-allowed'],
    ['http://allowed.test.evil.test/', 'not-allowed'],
    ['http://allowed.test:0/', 'bad-port'],
    ['http://a.rebound.test/', 'forbidden-address'],
  ])('to %s (%s) fails, and is recorded', async (url, reason) => {
    const { ask, heard, records } = open();
    ask(1, { url });
    expect(await heard('fetch-failed')).toMatchObject({ code: 'EACCES', reason });
    expect(hits).toEqual([]);
    expect(records).toMatchObject([{ effect: 'deny', reason, bytesIn: 0, bytesOut: 0 }]);
  });

  test.each([
    ['127.0.0.1', 'loopback'],
    ['169.254.169.254', 'cloud metadata'],
    ['::1', 'loopback of IPv6'],
    ['::ffff:127.0.0.1', 'a mapped address'],
    ['64:ff9b::a9fe:a9fe', 'NAT64'],
    ['2002:7f00:1::', '6to4'],
    ['fd00:ec2::254', 'metadata of IPv6'],
    ['0.0.0.0', 'this host'],
  ])('resolves to %s (%s), by the addresses that are built in', async (address) => {
    const records: EgressRecord[] = [];
    const replies: FetchReply[] = [];
    // Unlike the other tests with the real list of forbidden addresses.
    const broker = new FetchBroker({
      rules: RULES,
      onRecord: (record) => records.push(record),
      reply: (reply) => replies.push(reply),
      resolve: async () => [address],
    });
    brokers.push(broker);
    const url = `http://allowed.test:${port}/`;
    broker.receive({ type: 'fetch', id: 1, request: { method: 'GET', url, headers: [] } });
    await eventually(() => replies.length > 0);
    expect(replies).toMatchObject([{ type: 'fetch-failed', reason: 'forbidden-address' }]);
    expect(hits).toEqual([]);
  });

  test('is not even looked up', async () => {
    const { ask, heard, lookups } = open();
    ask(1, { url: 'http://secret.evil.test/' });
    await heard('fetch-failed');
    ask(2);
    await heard('fetch-response', 2);
    expect(lookups).toEqual(['allowed.test']);
  });

  test('was judged by the address it would have been connected to', async () => {
    let calls = 0;
    const resolve = async () => {
      calls += 1;
      return calls === 1 ? ['127.0.0.1'] : [METADATA];
    };
    const { ask, heard, records } = open({ resolve });
    ask(1);
    await heard('fetch-response', 1);
    ask(2);
    expect(await heard('fetch-failed', 2)).toMatchObject({ reason: 'forbidden-address' });
    // One question for each: nobody asked again between the judgement and the connection.
    expect(calls).toBe(2);
    expect(records.at(-1)).toMatchObject({ effect: 'deny' });
  });

  test('is the last of a call that made too many', async () => {
    const { ask, heard, records } = open({ requestsMax: 2 });
    ask(1);
    await heard('fetch-response', 1);
    ask(2);
    ask(3);
    expect(await heard('fetch-failed', 2)).toMatchObject({ reason: 'too-many' });
    expect(await heard('fetch-failed', 3)).toMatchObject({ reason: 'too-many' });
    expect(records.filter(({ effect }) => effect === 'deny')).toHaveLength(1);
  });

  test('is every one after a record that was not taken', async () => {
    const onRecord = (): void => {
      throw new Error('the trail is full');
    };
    const { broker, ask, heard } = open({ onRecord });
    ask(1, { url: 'http://evil.test/' });
    await heard('fetch-failed', 1);
    ask(2);
    expect(await heard('fetch-failed', 2)).toMatchObject({ reason: 'not-recorded' });
    expect(hits).toEqual([]);
    expect(broker.isRecorded).toBe(false);
  });
});

test('a redirect is an answer: the supervisor goes nowhere by itself', async () => {
  const target = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  const location = `http://127.0.0.1:${target}/latest/meta-data`;
  port = await serve((socket) =>
    socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
  );
  const { ask, heard, records } = open();
  ask(1);
  const { status, headers } = await heard('fetch-response');
  expect([status, headers[1]]).toEqual([302, location]);
  ask(2, { url: location });
  expect(await heard('fetch-failed', 2)).toMatchObject({ reason: 'not-allowed' });
  expect(records.map(({ effect }) => effect)).toContain('deny');
});

describe('a worker may not', () => {
  const data = Buffer.from('x').toString('base64');
  const POST = { method: 'POST', body: { bytes: 3 } };
  type Opened = ReturnType<typeof open>;
  test.each<[string, (opened: Opened) => void | Promise<void>, string]>([
    ['count its requests from 2', ({ ask }) => ask(2), 'out of turn'],
    [
      'ask for the same one twice',
      ({ ask }) => {
        ask(1);
        ask(1);
      },
      'out of turn',
    ],
    [
      'leave one out',
      ({ ask }) => {
        ask(1);
        ask(3);
      },
      'out of turn',
    ],
    [
      'send a body of a request that it never made',
      ({ say }) => say({ type: 'fetch-data', id: 7, data }),
      'it did not make',
    ],
    [
      'cancel a request that it never made',
      ({ ask, say }) => {
        ask(1);
        say({ type: 'fetch-cancel', id: 2 });
      },
      'it did not make',
    ],
    [
      'send a body that nobody asked for',
      ({ ask, say }) => {
        ask(1, POST);
        say({ type: 'fetch-data', id: 1, data });
      },
      'nobody asked for',
    ],
    [
      'send a body of a request without one',
      async ({ ask, say, heard }) => {
        ask(1);
        await heard('fetch-response');
        say({ type: 'fetch-data', id: 1, data });
      },
      'nobody asked for',
    ],
    [
      'send a piece with nothing in it',
      async ({ ask, say, heard }) => {
        ask(1, POST);
        await heard('fetch-pull');
        say({ type: 'fetch-data', id: 1, data: '=' });
      },
      'nobody asked for',
    ],
    [
      'send two pieces at once',
      async ({ ask, say, heard }) => {
        ask(1, POST);
        await heard('fetch-pull');
        say({ type: 'fetch-data', id: 1, data });
        say({ type: 'fetch-data', id: 1, data });
      },
      'nobody asked for',
    ],
    [
      'send more than it announced',
      async ({ ask, say, heard }) => {
        ask(1, POST);
        await heard('fetch-pull');
        say({ type: 'fetch-data', id: 1, data: Buffer.from('four').toString('base64') });
      },
      'more of a body',
    ],
    [
      'send less than it announced',
      async ({ ask, say, heard }) => {
        ask(1, POST);
        await heard('fetch-pull');
        say({ type: 'fetch-data', id: 1, data });
        say({ type: 'fetch-end', id: 1 });
      },
      'less of a body',
    ],
    [
      'end a body that is not there',
      ({ ask, say }) => {
        ask(1);
        say({ type: 'fetch-end', id: 1 });
      },
      'second end',
    ],
    [
      'want two pieces at once',
      ({ ask, say }) => {
        ask(1);
        say({ type: 'fetch-pull', id: 1 });
        say({ type: 'fetch-pull', id: 1 });
      },
      'second wish',
    ],
    [
      'have more requests open than there may be',
      ({ ask }) => {
        for (let id = 1; id <= FETCHES_OPEN_MAX + 1; id += 1) ask(id);
      },
      'at once',
    ],
    [
      'talk without end about a request that is over',
      async ({ ask, say, heard }) => {
        ask(1, { url: 'http://evil.test/' });
        await heard('fetch-failed');
        for (let n = 0; n < 5; n += 1) say({ type: 'fetch-pull', id: 1 });
      },
      'have ended',
    ],
    [
      'put a header into a header',
      ({ ask }) => ask(1, { headers: [['x', 'y\r\nHost: evil.test']] }),
      'malformed header',
    ],
    [
      'name another host than it asks for',
      ({ ask }) => ask(1, { headers: [['Host', 'x']] }),
      'the header `host`',
    ],
    ['open a tunnel', ({ ask }) => ask(1, { method: 'CONNECT' }), 'CONNECT'],
    ['read a file', ({ ask }) => ask(1, { url: 'file:///etc/passwd' }), 'neither http'],
  ])('%s', async (_what, attack, message) => {
    const opened = open();
    const attempt = (async () => attack(opened))();
    await expect(attempt).rejects.toThrow(WorkerMessageError);
    await expect(attempt).rejects.toThrow(message);
  });

  test('but may be late with a word about a request that has just ended', async () => {
    const { ask, say, heard } = open();
    ask(1, { url: 'http://evil.test/', method: 'POST', body: {} });
    await heard('fetch-failed');
    say({ type: 'fetch-pull', id: 1 });
    say({ type: 'fetch-end', id: 1 });
    say({ type: 'fetch-cancel', id: 1 });
  });

  test('smuggle a second request in a body', async () => {
    const seen: string[] = [];
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n';
    port = await listen(
      createWebServer((incoming, response) => {
        seen.push(`${incoming.method} ${incoming.url}`);
        incoming.resume();
        incoming.on('end', () => response.end());
      }),
    );
    const { ask, say, heard, replies } = open();
    for (const [at, method] of ['POST', 'DELETE', 'OPTIONS', 'PROPFIND'].entries()) {
      const id = at + 1;
      ask(id, { method, body: {} });
      await heard('fetch-pull', id);
      const body = Buffer.from(`0\r\n\r\n${smuggled}`).toString('base64');
      say({ type: 'fetch-data', id, data: body });
      say({ type: 'fetch-end', id });
      await heard('fetch-response', id);
    }
    expect(seen).toEqual(['POST /', 'DELETE /', 'OPTIONS /', 'PROPFIND /']);
    expect(replies.filter(({ type }) => type === 'fetch-failed')).toEqual([]);
  });
});

describe('a server that is hostile', () => {
  const OK = 'HTTP/1.1 200 OK\r\n';
  test.each<[string, (socket: Socket) => void]>([
    ['says nothing and hangs up', (socket) => socket.end()],
    ['resets the connection', (socket) => socket.resetAndDestroy()],
    ['speaks something else', (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
    ['ends a line with a lone carriage return', (socket) => socket.end(`${OK}a: b\rc: d\r\n\r\n`)],
    ['puts a null byte into a header', (socket) => socket.end(`${OK}a: b\0\r\n\r\n`)],
    ['splits its answer by a header without a name', (socket) => socket.end(`${OK}: x\r\n\r\n`)],
    ['sends huge headers', (socket) => socket.end(`${OK}a: ${'x'.repeat(20_000)}\r\n\r\n`)],
    ['sends headers without end', (socket) => flood(socket, OK, `a: ${'x'.repeat(1000)}\r\n`)],
    [
      'frames its body twice',
      (socket) =>
        socket.end(
          `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
        ),
    ],
    [
      'gives two lengths',
      (socket) => socket.end(`${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`),
    ],
    [
      'gives a chunk of an impossible size',
      (socket) => socket.end(`${OK}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc`),
    ],
    ['hangs up in the middle', (socket) => socket.end(`${OK}Content-Length: 100\r\n\r\nabc`)],
    [
      'switches protocols',
      (socket) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    ],
    [
      'keeps saying that it is about to answer',
      (socket) => flood(socket, '', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    ],
  ])('%s', async (_what, attack) => {
    port = await serve(attack);
    const { ask, readAll, records, heard } = open();
    ask(1);
    // Whoever gets an answer at all reads it to its end, which is a failure too.
    await Promise.race([
      heard('fetch-failed'),
      heard('fetch-response').then(() => readAll()),
    ]).catch((cause: Error) => expect(cause.message).toContain('fetch-failed'));
    await heard('fetch-failed');
    expect(records).toMatchObject([{ host: 'allowed.test', effect: 'allow' }]);
    // The broker still works.
    port = await listen(createWebServer((_incoming, response) => response.end('fine')));
    ask(2);
    await heard('fetch-response', 2);
  });

  test('answers slower than anybody waits', async () => {
    port = await serve((socket) => socket.write('HTTP/1.1 200'));
    const { ask, heard } = open({ idleMs: 50 });
    ask(1);
    expect(await heard('fetch-failed')).toMatchObject({ code: 'ETIMEDOUT' });
  });

  test('sends a body without end, and is not read on', async () => {
    let sent = 0;
    port = await serve((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const piece = Buffer.alloc(65_536);
      const more = (): void => {
        do sent += piece.length;
        while (socket.write(piece) && sent < 2 ** 30);
      };
      socket.on('drain', more);
      more();
    });
    const { ask, say, heard, replies } = open();
    ask(1);
    await heard('fetch-response');
    for (let n = 1; n <= 10; n += 1) {
      say({ type: 'fetch-pull', id: 1 });
      await eventually(() => replies.filter(({ type }) => type === 'fetch-data').length === n);
    }
    const pieces = replies.filter((reply) => reply.type === 'fetch-data');
    for (const { data } of pieces)
      expect(Buffer.from(data, 'base64').length).toBeLessThanOrEqual(FETCH_PIECE_BYTES_MAX);
    // What the sockets of both ends hold, not what the server would send.
    const before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sent - before).toBeLessThan(2 ** 20);
    expect(sent).toBeLessThan(32 * 2 ** 20);
  });

  test('sends a bomb, which passes through as small as it came', async () => {
    const bomb = gzipSync(Buffer.alloc(20 * 2 ** 20));
    port = await serve((socket) => {
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`,
      );
      socket.end(bomb);
    });
    const { ask, heard, readAll } = open();
    ask(1);
    await heard('fetch-response');
    expect(await readAll()).toEqual(bomb);
  });

  test('is asked over TLS only with a certificate that the supervisor trusts', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    port = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    const { ask, heard } = open();
    ask(1, { url: `https://allowed.test:${port}/` });
    // Plain text where TLS is expected; a bad certificate is tried in `brokered-fetch.test.ts`.
    expect((await heard('fetch-failed')).code).toMatch(/^(EPROTO|ERR_SSL)/);
    vi.unstubAllEnvs();
  });
});

/** Writes for as long as anybody takes it. */
function flood(socket: Socket, head: string, piece: string): void {
  socket.write(head);
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece.repeat(50)));
  };
  socket.on('drain', more);
  more();
}

describe('the end of the call', () => {
  test('ends every request, and each is recorded', async () => {
    const ended: string[] = [];
    port = await serve((socket) => socket.on('close', () => ended.push('closed')));
    const { ask, broker, records, replies } = open();
    ask(1);
    ask(2, { method: 'POST', body: {} });
    ask(3);
    const sockets = () => servers.at(-1)?.listening === true && replies.some(({ id }) => id === 2);
    await eventually(sockets);
    await new Promise((resolve) => setTimeout(resolve, 50));
    broker.destroy();
    await eventually(() => ended.length === 3);
    expect(records.map(({ effect }) => effect)).toEqual(['allow', 'allow', 'allow']);
  });

  test('does not wait for a name, but records that it was asked for', async () => {
    const { ask, broker, records } = open({ resolve: () => new Promise(() => {}) });
    ask(1);
    broker.destroy();
    expect(records).toMatchObject([
      { host: 'allowed.test', port, effect: 'deny', reason: 'not-resolved' },
    ]);
  });

  test('takes no message any more', async () => {
    const { ask, broker, say, replies } = open();
    broker.destroy();
    ask(1);
    say({ type: 'fetch-pull', id: 9 });
    expect(replies).toEqual([]);
    expect(hits).toEqual([]);
  });
});

describe('a request that the tool gives up', () => {
  test('ends at once', async () => {
    let isClosed = false;
    port = await serve((socket) => {
      socket.on('close', () => {
        isClosed = true;
      });
    });
    const { ask, say, heard, records } = open();
    ask(1, { method: 'POST', body: {} });
    await heard('fetch-pull');
    await new Promise((resolve) => setTimeout(resolve, 50));
    say({ type: 'fetch-cancel', id: 1 });
    expect(await heard('fetch-failed')).toMatchObject({ code: 'ECONNABORTED' });
    await eventually(() => isClosed);
    expect(records).toMatchObject([{ effect: 'allow' }]);
  });

  test('counts as open for as long as its name is looked up', async () => {
    const answers: ((addresses: readonly string[]) => void)[] = [];
    const resolve = (): Promise<readonly string[]> => new Promise((done) => answers.push(done));
    const { ask, say, replies, records } = open({ resolve });
    for (let id = 1; id <= FETCHES_OPEN_MAX; id += 1) {
      ask(id);
      say({ type: 'fetch-cancel', id });
    }
    expect(() => ask(FETCHES_OPEN_MAX + 1)).toThrow('at once');
    for (const answer of answers) answer(['127.0.0.1']);
    await eventually(() => replies.length === FETCHES_OPEN_MAX);
    expect(records).toHaveLength(FETCHES_OPEN_MAX);
    expect(hits).toEqual([]);
    ask(FETCHES_OPEN_MAX + 1);
  });
});
