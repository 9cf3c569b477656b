import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FetchBroker } from '../../src/isolation/fetch-broker.ts';
import { brokerFetch } from '../../worker/brokered-fetch.ts';
import type { DispatchHandler } from '../../worker/dispatch-handler.ts';
import { type DispatchOptions, FetchDispatcher } from '../../worker/fetch-dispatcher.ts';
import {
  FETCH_PIECE_BYTES_MAX,
  FETCHES_MAX,
  FETCHES_OPEN_MAX,
  type FetchMessage,
} from '../../worker/fetch-protocol.ts';
import { eventually } from '../fixtures/observe.ts';

const ECHO = 'echo';

describe('the fetch of this Node, over a broker', () => {
  let server: Server;
  let origin = '';
  const brokers: FetchBroker[] = [];
  let messages: FetchMessage[] = [];
  const fetchBrokered = (path: string, init: RequestInit = {}): Promise<Response> => {
    const dispatcher = new FetchDispatcher((message) => {
      messages.push(message);
      broker.receive(message);
    });
    const broker = new FetchBroker({
      rules: { allowedDomains: ['allowed.test'], deniedDomains: [] },
      onRecord: () => undefined,
      reply: (reply) => setImmediate(() => dispatcher.receive(reply)),
      resolve: async () => ['127.0.0.1'],
      forbidden: { has: () => false },
    });
    brokers.push(broker);
    const url = path.startsWith('http') ? path : `${origin}${path}`;
    // The types of Node's fetch know dispatchers only as classes of undici.
    return fetch(url, { ...init, dispatcher } as unknown as RequestInit);
  };

  beforeAll(async () => {
    server = createServer(async (incoming, response) => {
      const { pathname } = new URL(incoming.url ?? '/', 'http://x');
      if (pathname === `/${ECHO}`) {
        const parts: Buffer[] = [];
        for await (const part of incoming) parts.push(part as Buffer);
        const { method, headers } = incoming;
        response.end(JSON.stringify({ method, headers, body: String(Buffer.concat(parts)) }));
      } else answers[pathname]?.(response, incoming);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://allowed.test:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    messages = [];
  });
  afterEach(() => {
    for (const broker of brokers.splice(0)) broker.destroy();
  });

  type Answer = (response: import('node:http').ServerResponse, incoming: IncomingMessage) => void;
  const text = 'é'.repeat(50_000);
  const encoded =
    (encoding: string, encode: (data: string) => Buffer): Answer =>
    (response) => {
      response.setHeader('content-encoding', encoding);
      response.end(encode(text));
    };
  const answers: Readonly<Record<string, Answer>> = {
    '/cookies': (response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.statusMessage = 'Fine';
      response.end('ok');
    },
    '/gzip': encoded('gzip', gzipSync),
    '/deflate': encoded('deflate', deflateSync),
    '/br': encoded('br', brotliCompressSync),
    '/bad-gzip': (response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end('this is no gzip');
    },
    '/large': (response) => {
      response.setHeader('content-length', 3_000_000);
      response.end(Buffer.alloc(3_000_000, 'x'));
    },
    '/nothing': (response) => response.writeHead(204).end(),
    '/redirect': (response) => response.writeHead(302, { location: `/${ECHO}` }).end(),
    '/large-redirect': (response) => {
      response.writeHead(307, { location: `/${ECHO}` });
      response.end(Buffer.alloc(2_000_000));
    },
    '/round': (response) => response.writeHead(302, { location: '/round' }).end(),
    '/away': (response) => response.writeHead(302, { location: 'http://evil.test/' }).end(),
    '/silent': () => undefined,
    '/starts': (response) => response.write('first'),
    '/cut': (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('first', () => response.destroy());
    },
  };

  test('gets a page with its URL, status and cookies', async () => {
    const response = await fetchBrokered('/cookies?x=y#z');
    expect(response).toMatchObject({
      status: 200,
      statusText: 'Fine',
      url: `${origin}/cookies?x=y#z`.replace('#z', response.url.includes('#') ? '#z' : ''),
      type: 'basic',
      redirected: false,
    });
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await response.text()).toBe('ok');
  });

  test.each(['/gzip', '/deflate', '/br'])('decodes %s in the tool', async (path) => {
    const init = { headers: { 'accept-encoding': 'gzip, deflate, br' } };
    expect(await (await fetchBrokered(path, init)).text()).toBe(text);
  });

  test('fails of a body that cannot be decoded', async () => {
    const response = await fetchBrokered('/bad-gzip');
    await expect(response.text()).rejects.toThrow();
  });

  test('gets a body that is larger than every buffer on the way', async () => {
    const bytes = await (await fetchBrokered('/large')).arrayBuffer();
    expect(Buffer.from(bytes).equals(Buffer.alloc(3_000_000, 'x'))).toBe(true);
  });

  test('does not ask for more of a body than somebody reads', async () => {
    const response = await fetchBrokered('/large');
    const pulls = () => messages.filter(({ type }) => type === 'fetch-pull').length;
    let before = -1;
    while (pulls() !== before) {
      before = pulls();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(before * FETCH_PIECE_BYTES_MAX).toBeLessThan(1_000_000);
    expect((await response.arrayBuffer()).byteLength).toBe(3_000_000);
  });

  test('knows answers without a body', async () => {
    expect((await fetchBrokered('/nothing')).status).toBe(204);
    const head = await fetchBrokered('/large', { method: 'HEAD' });
    expect([head.headers.get('content-length'), await head.text()]).toEqual(['3000000', '']);
  });

  const form = new FormData();
  form.set('name', 'value');
  form.set('file', new Blob(['x'.repeat(100_000)]), 'f.txt');
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('one '));
        controller.enqueue(Buffer.from('two'));
        controller.close();
      },
    });
  test.each<[string, RequestInit, string | RegExp]>([
    ['text', { body: 'é' }, 'é'],
    ['bytes', { body: new Uint8Array([97, 98]) }, 'ab'],
    ['many bytes', { body: 'x'.repeat(200_000) }, 'x'.repeat(200_000)],
    ['a blob', { body: new Blob(['blob']) }, 'blob'],
    ['a form', { body: form }, /filename="f.txt"[\s\S]*x{1000}/],
    ['URL parameters', { body: new URLSearchParams({ a: 'b c' }) }, 'a=b+c'],
    ['a stream', { body: stream(), duplex: 'half' } as RequestInit, 'one two'],
    ['nothing', {}, ''],
  ])('sends %s', async (_kind, init, expected) => {
    const response = await fetchBrokered(`/${ECHO}`, { method: 'POST', ...init });
    const { method, body } = (await response.json()) as { method: string; body: string };
    expect(method).toBe('POST');
    expect(body).toMatch(expected instanceof RegExp ? expected : /^/);
    if (typeof expected === 'string') expect(body).toBe(expected);
  });

  test('sends a Request with headers', async () => {
    const response = await fetchBrokered(`/${ECHO}`, {
      headers: { authorization: 'Bearer x', 'x-own': 'é', connection: 'keep-alive' },
    });
    expect(await response.json()).toMatchObject({
      headers: { authorization: 'Bearer x', 'x-own': expect.any(String) },
    });
  });

  test('follows a redirect by a request of its own', async () => {
    const response = await fetchBrokered('/redirect');
    expect([response.redirected, response.url]).toEqual([true, `${origin}/${ECHO}`]);
    expect(messages.filter(({ type }) => type === 'fetch')).toHaveLength(2);
  });

  test('follows redirects with bodies that nobody reads, without running out of requests', async () => {
    const response = await fetchBrokered('/large-redirect');
    expect(response.status).toBe(200);
    await response.text();
    await eventually(() => messages.some(({ type, id }) => type === 'fetch-cancel' && id === 1));
  });

  test.each<[RequestInit['redirect'] & string, string]>([
    ['manual', '/redirect'],
    ['manual', '/away'],
  ])('hands a redirect back in mode %s (%s)', async (redirect, path) => {
    const response = await fetchBrokered(path, { redirect });
    expect([response.status, response.headers.get('location')]).toEqual([
      302,
      path === '/away' ? 'http://evil.test/' : `/${ECHO}`,
    ]);
    expect(messages.filter(({ type }) => type === 'fetch')).toHaveLength(1);
  });

  test.each<[string, RequestInit]>([
    ['/redirect', { redirect: 'error' }],
    ['/round', {}],
  ])('fails of %s with %j', async (path, init) => {
    await expect(fetchBrokered(path, init)).rejects.toThrow('fetch failed');
  });

  test.each(['/away', 'http://evil.test/', 'http://127.0.0.1/'])(
    'fails as a refused connection where the rules refuse it: %s',
    async (path) => {
      await expect(fetchBrokered(path)).rejects.toMatchObject({
        message: 'fetch failed',
        cause: { code: 'EACCES', message: expect.stringContaining('enforcecore: not-allowed') },
      });
    },
  );

  test('is aborted while it waits, and the request with it', async () => {
    const abort = new AbortController();
    const attempt = fetchBrokered('/silent', { signal: abort.signal });
    await eventually(() => messages.length > 0);
    abort.abort();
    await expect(attempt).rejects.toMatchObject({ name: 'AbortError' });
    await eventually(() => messages.some(({ type }) => type === 'fetch-cancel'));
  });

  test('is aborted while a body comes', async () => {
    const abort = new AbortController();
    const response = await fetchBrokered('/starts', { signal: abort.signal });
    const body = response.text();
    abort.abort();
    await expect(body).rejects.toMatchObject({ name: 'AbortError' });
    await eventually(() => messages.some(({ type }) => type === 'fetch-cancel'));
  });

  test('is given up by whoever cancels its body', async () => {
    const response = await fetchBrokered('/starts');
    await response.body?.cancel();
    await eventually(() => messages.some(({ type }) => type === 'fetch-cancel'));
  });

  test('fails of an answer that breaks off', async () => {
    const response = await fetchBrokered('/cut');
    await expect(response.text()).rejects.toThrow('terminated');
  });

  test('fails of a body that fails', async () => {
    const body = new ReadableStream({
      pull(controller) {
        controller.error(new Error('no more'));
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    await expect(fetchBrokered(`/${ECHO}`, init)).rejects.toThrow();
  });

  test('cannot name what the supervisor says itself', async () => {
    const init = { headers: { 'proxy-authorization': 'Basic x' } };
    await expect(fetchBrokered(`/${ECHO}`, init)).rejects.toMatchObject({
      cause: { message: 'a request cannot have the header `proxy-authorization`' },
    });
    expect(messages).toEqual([]);
  });

  test('is found by fetch where it is registered, for each call anew', async () => {
    const keys = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map(Symbol.for);
    const before = keys.map((key) => Reflect.get(globalThis, key) as unknown);
    const asked: string[] = [];
    const register = (name: string): void => {
      const dispatcher = brokerFetch((message) => {
        if (message.type === 'fetch') asked.push(`${name}: ${message.request.url}`);
        dispatcher.receive({ type: 'fetch-failed', id: message.id, code: 'E', message: 'no' });
      });
    };
    try {
      for (const name of ['one', 'two']) {
        register(name);
        const attempt = fetch('http://anywhere.test/');
        await expect(attempt).rejects.toMatchObject({ cause: { code: 'E' } });
      }
    } finally {
      for (const [at, key] of keys.entries()) Reflect.set(globalThis, key, before[at]);
    }
    expect(asked).toEqual(['one: http://anywhere.test/', 'two: http://anywhere.test/']);
  });
});

/** A handler that writes down what it is told. */
function handler(style: 'older' | 'newer', takesMore = true) {
  const told: unknown[][] = [];
  let control: { resume?: () => void; abort?: (reason?: unknown) => void } = {};
  type Controlled = Parameters<NonNullable<DispatchHandler['onRequestStart']>>[0];
  const pause = (controller: Controlled): void => {
    if (!takesMore) controller.pause();
  };
  const older: DispatchHandler = {
    onConnect: (abort) => {
      control = { ...control, abort };
    },
    onHeaders: (status, headers, resume, statusText) => {
      control = { ...control, resume };
      told.push(['head', status, headers.map(String), statusText]);
      return takesMore;
    },
    onData: (chunk) => {
      told.push(['data', String(chunk)]);
      return takesMore;
    },
    onComplete: () => told.push(['end']),
    onError: (error) => told.push(['error', error]),
  };
  const newer: DispatchHandler = {
    onRequestStart: (controller) => {
      control = {
        resume: () => controller.resume(),
        abort: (reason) => controller.abort(reason),
      };
    },
    onResponseStart: (controller, status, headers, statusText) => {
      told.push(['head', status, controller.rawHeaders.map(String), statusText, headers]);
      pause(controller);
    },
    onResponseData: (controller, chunk) => {
      told.push(['data', String(chunk)]);
      pause(controller);
    },
    onResponseEnd: () => told.push(['end']),
    onResponseError: (_controller, error) => told.push(['error', error]),
  };
  return {
    told,
    handler: style === 'older' ? older : newer,
    resume: () => control.resume?.(),
    abort: (reason?: unknown) => control.abort?.(reason),
  };
}

function openDispatcher() {
  const messages: FetchMessage[] = [];
  const dispatcher = new FetchDispatcher((message) => messages.push(message));
  const dispatch = (options: Partial<DispatchOptions>, to: DispatchHandler) =>
    dispatcher.dispatch(
      { origin: 'http://allowed.test', path: '/', method: 'GET', ...options },
      to,
    );
  return { dispatcher, messages, dispatch };
}

const HEAD = {
  type: 'fetch-response',
  id: 1,
  status: 200,
  statusText: 'OK',
  headers: ['A', '1', 'a', '2', 'B', '3'],
} as const;
const data = (text: string, id = 1) =>
  ({ type: 'fetch-data', id, data: Buffer.from(text).toString('base64') }) as const;

describe.each(['older', 'newer'] as const)('a handler of the %s kind', (style) => {
  test('is told of an answer from its head to its end', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const { told, handler: to } = handler(style);
    dispatch({}, to);
    dispatcher.receive(HEAD);
    dispatcher.receive(data('x'));
    dispatcher.receive({ type: 'fetch-end', id: 1 });
    expect(told.map((each) => each.slice(0, 4))).toEqual([
      ['head', 200, ['A', '1', 'a', '2', 'B', '3'], 'OK'],
      ['data', 'x'],
      ['end'],
    ]);
    if (style === 'newer') expect(told[0]?.[4]).toEqual({ a: ['1', '2'], b: '3' });
    expect(messages.map(({ type }) => type)).toEqual(['fetch', 'fetch-pull', 'fetch-pull']);
  });

  test('is given the next piece when it resumes', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const { handler: to, resume } = handler(style, false);
    dispatch({}, to);
    dispatcher.receive(HEAD);
    expect(messages.map(({ type }) => type)).toEqual(['fetch']);
    resume();
    resume();
    expect(messages.map(({ type }) => type)).toEqual(['fetch', 'fetch-pull']);
    dispatcher.receive(data('x'));
    expect(messages).toHaveLength(2);
    resume();
    expect(messages).toHaveLength(3);
  });

  test('may abort, and hears of nothing after that', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const { told, handler: to, abort, resume } = handler(style);
    dispatch({}, to);
    const reason = new Error('enough');
    abort(reason);
    abort();
    dispatcher.receive(HEAD);
    resume();
    dispatcher.receive({ type: 'fetch-failed', id: 1, code: 'E', message: 'm' });
    expect(told).toEqual([['error', reason]]);
    expect(messages.map(({ type }) => type)).toEqual(['fetch', 'fetch-cancel']);
  });

  test('is told why a request failed', () => {
    const { dispatcher, dispatch } = openDispatcher();
    const { told, handler: to } = handler(style);
    dispatch({}, to);
    dispatcher.receive({ type: 'fetch-failed', id: 1, code: 'EACCES', message: 'm', reason: 'r' });
    expect(told).toEqual([
      ['error', expect.objectContaining({ code: 'EACCES', message: 'm', reason: 'r' })],
    ]);
  });
});

describe('a dispatcher', () => {
  test('that is told to throw away what it reads ends the request', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const { told, handler: to } = handler('older');
    const thrown = new Error('of no use');
    dispatch(
      {},
      {
        ...to,
        onData: () => {
          throw thrown;
        },
      },
    );
    dispatcher.receive(HEAD);
    dispatcher.receive(data('x'));
    expect(told.at(-1)).toEqual(['error', thrown]);
    expect(messages.at(-1)).toEqual({ type: 'fetch-cancel', id: 1 });
  });

  test('holds requests back until others have ended', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    for (let n = 0; n < 10_000; n += 1) dispatch({}, handler('older').handler);
    const asked = () => messages.filter(({ type }) => type === 'fetch').length;
    expect(asked()).toBe(FETCHES_OPEN_MAX);
    dispatcher.receive({ type: 'fetch-failed', id: 1, code: 'E', message: 'm' });
    expect(asked()).toBe(FETCHES_OPEN_MAX + 1);
  });

  test('counts a request that was given up until the supervisor has ended it', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const first = handler('older');
    dispatch({}, first.handler);
    for (let n = 1; n < FETCHES_OPEN_MAX; n += 1) dispatch({}, handler('older').handler);
    first.abort();
    dispatch({}, handler('older').handler);
    const asked = () => messages.filter(({ type }) => type === 'fetch').length;
    expect(asked()).toBe(FETCHES_OPEN_MAX);
    dispatcher.receive({ type: 'fetch-end', id: 1 });
    expect(asked()).toBe(FETCHES_OPEN_MAX + 1);
  });

  test('does not begin what was given up while it waited', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    for (let n = 0; n < FETCHES_OPEN_MAX; n += 1) dispatch({}, handler('older').handler);
    const waiting = handler('older');
    dispatch({}, waiting.handler);
    waiting.abort();
    dispatcher.receive({ type: 'fetch-end', id: 1 });
    expect(messages.filter(({ type }) => type === 'fetch')).toHaveLength(FETCHES_OPEN_MAX);
  });

  test('stays within what a call may ask for', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    for (let id = 1; id <= FETCHES_MAX; id += 1) {
      dispatch({}, handler('older').handler);
      dispatcher.receive({ type: 'fetch-end', id });
    }
    const last = handler('older');
    dispatch({}, last.handler);
    expect(last.told).toEqual([['error', expect.objectContaining({ code: 'EACCES' })]]);
    expect(messages).toHaveLength(FETCHES_MAX);
  });

  test('says nothing after the end of the call', () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const open = handler('older');
    dispatch({}, open.handler);
    dispatcher.end();
    open.abort();
    dispatcher.receive(HEAD);
    const late = handler('older');
    dispatch({}, late.handler);
    expect(late.told).toEqual([['error', expect.objectContaining({ code: 'EACCES' })]]);
    expect(messages.map(({ type }) => type)).toEqual(['fetch']);
  });

  test('ignores answers to what it never asked', () => {
    const { dispatcher } = openDispatcher();
    expect(() => dispatcher.receive({ ...HEAD, id: 9 })).not.toThrow();
  });

  test.each<[string, unknown, readonly (readonly [string, string])[]]>([
    [
      'an object',
      { a: 'b', c: ['d', 'e'], f: undefined },
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'e'],
      ],
    ],
    [
      'pairs',
      new Set([
        ['a', 'b'],
        ['a', 'c'],
      ]),
      [
        ['a', 'b'],
        ['a', 'c'],
      ],
    ],
    [
      'names and values in turn',
      ['a', 'b', 'c', ['d', 'e']],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'e'],
      ],
    ],
    ['bytes', ['a', Buffer.from([0xe9])], [['a', 'é']]],
    ['a Headers', new Headers({ a: 'b' }), [['a', 'b']]],
    ['nothing', undefined, []],
    ['what is said anyway', { host: 'allowed.test', connection: 'keep-alive' }, []],
  ])('takes headers as %s', (_kind, headers, expected) => {
    const { messages, dispatch } = openDispatcher();
    dispatch({ headers }, handler('older').handler);
    expect(messages).toMatchObject([{ type: 'fetch', request: { headers: expected } }]);
  });

  test.each<[string, Partial<DispatchOptions>]>([
    ['an upgrade', { upgrade: 'websocket' }],
    ['a header for another host', { headers: { host: 'evil.test' } }],
    ['a connection that does more', { headers: { connection: 'upgrade' } }],
    ['a length that is none', { method: 'POST', body: 'x', headers: { 'content-length': '0x1' } }],
    ['a body that is none', { method: 'POST', body: 7 }],
    ['a body with GET', { body: 'x' }],
    ['no origin', { origin: '' }],
    ['a method that is none', { method: 'a b' }],
  ])('fails of %s without asking', (_kind, options) => {
    const { messages, dispatch } = openDispatcher();
    const { told, handler: to } = handler('older');
    dispatch(options, to);
    expect(told).toEqual([['error', expect.any(Error)]]);
    expect(messages).toEqual([]);
  });

  test.each<[string, unknown, string | undefined]>([
    ['longer', ['abc', 'de'], '4'],
    ['shorter', ['abc'], '4'],
    ['of no bytes', [{}], undefined],
  ])('gives up a body that is %s', async (_kind, body, length) => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const { told, handler: to } = handler('older');
    const headers = length === undefined ? {} : { 'content-length': length };
    dispatch({ method: 'POST', body, headers }, to);
    for (let n = 0; n < 5; n += 1) dispatcher.receive({ type: 'fetch-pull', id: 1 });
    await eventually(() => told.length > 0);
    expect(told).toEqual([['error', expect.any(TypeError)]]);
    expect(messages.at(-1)?.type).toBe('fetch-cancel');
  });

  test('cuts a body into pieces and sends each when it is asked for', async () => {
    const { dispatcher, messages, dispatch } = openDispatcher();
    const body = Buffer.alloc(2 * FETCH_PIECE_BYTES_MAX + 1, 'x');
    dispatch({ method: 'POST', body: body.buffer.slice(0, body.length) }, handler('older').handler);
    const pieces = () => messages.filter((message) => message.type === 'fetch-data');
    await new Promise((resolve) => setImmediate(resolve));
    expect(pieces()).toEqual([]);
    for (let n = 1; n <= 3; n += 1) {
      dispatcher.receive({ type: 'fetch-pull', id: 1 });
      await eventually(() => pieces().length === n);
    }
    await eventually(() => messages.at(-1)?.type === 'fetch-end');
    expect(pieces().map((piece) => Buffer.from(piece.data, 'base64').length)).toEqual([
      FETCH_PIECE_BYTES_MAX,
      FETCH_PIECE_BYTES_MAX,
      1,
    ]);
    expect(messages[0]).toMatchObject({ request: { body: { bytes: body.length } } });
  });
});
