/**
 * The asking half of brokered `fetch`, in place of the network: a dispatcher for Node's own `fetch`
 * and the package `undici`, which turn Request, Response, redirects, abort signals, form data and
 * compressed bodies into plain requests. What they would send over a socket goes into messages. Each
 * hop of a redirect is a request of its own, and so is judged.
 *
 * Nothing here protects anything: the supervisor checks every message.
 */
import { type DispatchHandler, type Receiver, receiverOf } from './dispatch-handler.ts';
import {
  FETCH_PIECE_BYTES_MAX,
  FETCHES_MAX,
  FETCHES_OPEN_MAX,
  type FetchMessage,
  type FetchReply,
  type FetchRequest,
  findRequestProblem,
} from './fetch-protocol.ts';

/** What undici gives a dispatcher about one request. */
export interface DispatchOptions {
  readonly origin?: string | URL;
  readonly path: string;
  readonly method: string;
  readonly headers?: unknown;
  readonly body?: unknown;
  /** `websocket`, for example. */
  readonly upgrade?: unknown;
}

/**
 * Nobody reads the body of a redirect that is followed, and it is not ended either: so much of it is
 * taken, and the rest is not asked for.
 */
const REDIRECT_BODY_BYTES_MAX = 65_536;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** Makes the requests of one call by messages. */
export class FetchDispatcher {
  readonly #send: (message: FetchMessage) => void;
  readonly #open = new Map<number, Exchange>();
  readonly #waiting: Exchange[] = [];
  #asked = 0;
  #isEnded = false;

  constructor(send: (message: FetchMessage) => void) {
    this.#send = send;
  }

  /** As undici calls it. Failures are told to the handler. */
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean {
    const exchange = new Exchange(options, receiverOf(handler));
    if (exchange.isOver) return true;
    if (this.#isEnded) exchange.fail(failure('EACCES', 'the call has ended'));
    else this.#waiting.push(exchange);
    this.#startWaiting();
    return true;
  }

  /** Takes an answer of the supervisor. */
  receive(reply: FetchReply): void {
    const exchange = this.#open.get(reply.id);
    if (exchange === undefined) return;
    if (reply.type === 'fetch-end' || reply.type === 'fetch-failed') this.#open.delete(reply.id);
    exchange.receive(reply);
    this.#startWaiting();
  }

  /** The call is over: what a forgotten request still says would be a violation. */
  end(): void {
    this.#isEnded = true;
    this.#waiting.length = 0;
    this.#open.clear();
  }

  #startWaiting(): void {
    while (this.#open.size < FETCHES_OPEN_MAX) {
      const exchange = this.#waiting.shift();
      if (exchange === undefined) return;
      if (exchange.isOver) continue;
      if (this.#asked === FETCHES_MAX) {
        exchange.fail(failure('EACCES', 'more requests than a call may make'));
        continue;
      }
      this.#asked += 1;
      this.#open.set(this.#asked, exchange);
      exchange.begin(this.#asked, (message) => {
        if (!this.#isEnded) this.#send(message);
      });
    }
  }
}

/** One request and its answer. */
class Exchange {
  readonly #receiver: Receiver;
  readonly #request: FetchRequest | null = null;
  readonly #body: AsyncIterable<unknown> | Iterable<unknown> | null = null;
  #id = 0;
  #send: (message: FetchMessage) => void = () => {};
  #isOver = false;
  #isPulled = false;
  #pulls: PullQueue = new PullQueue();
  #isRedirect = false;
  #redirectBytes = 0;

  constructor(options: DispatchOptions, receiver: Receiver) {
    this.#receiver = receiver;
    try {
      receiver.start((reason) => this.fail(reason ?? failure('ECONNABORTED', 'aborted')));
      if (this.#isOver) return;
      const { request, body } = requestOf(options);
      this.#request = request;
      this.#body = body;
    } catch (cause) {
      this.fail(cause);
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  begin(id: number, send: (message: FetchMessage) => void): void {
    if (this.#request === null) throw new TypeError('only what can be asked for is begun');
    this.#id = id;
    this.#send = send;
    send({ type: 'fetch', id, request: this.#request });
    if (this.#body !== null) void this.#sendBody(this.#body, this.#request.body?.bytes);
  }

  /** Ends it for the tool. The supervisor, if it knows of it, is told to give up. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#close();
    if (this.#id > 0) this.#send({ type: 'fetch-cancel', id: this.#id });
    this.#receiver.fail(error);
  }

  receive(reply: FetchReply): void {
    if (this.#isOver) return;
    try {
      this.#take(reply);
    } catch (cause) {
      // A handler that throws has no use for the rest.
      this.fail(cause);
    }
  }

  #take(reply: FetchReply): void {
    switch (reply.type) {
      case 'fetch-pull':
        return this.#pulls.add();
      case 'fetch-response':
        this.#isRedirect = REDIRECTS.includes(reply.status);
        return this.#next(this.#receiver.head(reply, () => this.#pull()));
      case 'fetch-data':
        return this.#onData(Buffer.from(reply.data, 'base64'));
      case 'fetch-end':
        this.#close();
        return this.#end();
      case 'fetch-failed':
        this.#close();
        return this.#receiver.fail(failure(reply.code, reply.message, reply.reason));
    }
  }

  /** A handler that cannot make sense of the end fails, rather than wait for another. */
  #end(): void {
    try {
      this.#receiver.end();
    } catch (cause) {
      this.#receiver.fail(cause);
    }
  }

  #onData(chunk: Buffer): void {
    this.#isPulled = false;
    const takesMore = this.#receiver.data(chunk);
    if (!this.#isRedirect) return this.#next(takesMore);
    this.#redirectBytes += chunk.length;
    if (this.#redirectBytes < REDIRECT_BODY_BYTES_MAX) return this.#next(true);
    this.#close();
    this.#send({ type: 'fetch-cancel', id: this.#id });
    this.#receiver.end();
  }

  #next(takesMore: boolean): void {
    if (takesMore) this.#pull();
  }

  #pull(): void {
    if (this.#isOver || this.#isPulled) return;
    this.#isPulled = true;
    this.#send({ type: 'fetch-pull', id: this.#id });
  }

  #close(): void {
    this.#isOver = true;
    this.#pulls.close();
  }

  async #sendBody(
    body: AsyncIterable<unknown> | Iterable<unknown>,
    length: number | undefined,
  ): Promise<void> {
    let sent = 0;
    try {
      for await (const chunk of body)
        for (const piece of piecesOf(chunk)) {
          sent += piece.length;
          if (length !== undefined && sent > length) throw lengthMismatch(sent, length);
          if (!(await this.#pulls.take())) return;
          this.#send({ type: 'fetch-data', id: this.#id, data: piece.toString('base64') });
        }
      if (length !== undefined && sent < length) throw lengthMismatch(sent, length);
      if (!this.#isOver) this.#send({ type: 'fetch-end', id: this.#id });
    } catch (cause) {
      this.fail(cause);
    }
  }
}

/** Turns of the other side's `pull`, taken one by one. */
class PullQueue {
  #ready = 0;
  #isClosed = false;
  #wake: () => void = () => {};

  add(): void {
    this.#ready += 1;
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** @returns false: nothing more is wanted */
  async take(): Promise<boolean> {
    while (this.#ready === 0 && !this.#isClosed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#ready -= 1;
    return !this.#isClosed;
  }
}

function* piecesOf(chunk: unknown): Generator<Buffer> {
  const bytes = bytesOf(chunk);
  for (let at = 0; at < bytes.length; at += FETCH_PIECE_BYTES_MAX)
    yield bytes.subarray(at, at + FETCH_PIECE_BYTES_MAX);
}

function bytesOf(chunk: unknown): Buffer {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (ArrayBuffer.isView(chunk))
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return Buffer.from(chunk);
  throw new TypeError('a request body must consist of strings and bytes');
}

interface Asked {
  readonly request: FetchRequest;
  readonly body: AsyncIterable<unknown> | Iterable<unknown> | null;
}

/** @throws {TypeError} when it cannot be made by messages */
function requestOf({ origin, path, method, headers, body, upgrade }: DispatchOptions): Asked {
  if (typeof upgrade === 'string')
    throw failure('EACCES', `a connection cannot be upgraded to ${upgrade} here`);
  const url = new URL(`${origin ?? ''}${path}`);
  url.hash = '';
  const parts = bodyOf(body);
  const { kept, length } = readHeaders(headerPairs(headers), url.host);
  const bytes = length ?? parts?.bytes;
  const request: FetchRequest = {
    method,
    url: url.href,
    headers: kept,
    ...(parts === null ? {} : { body: bytes === undefined ? {} : { bytes } }),
  };
  const problem = findRequestProblem(request);
  if (problem !== null) throw new TypeError(`a request cannot have ${problem}`);
  return { request, body: parts?.chunks ?? null };
}

function bodyOf(
  body: unknown,
): { readonly chunks: Asked['body'] & object; readonly bytes?: number } | null {
  if (body === null || body === undefined) return null;
  if (typeof body === 'string' || ArrayBuffer.isView(body) || body instanceof ArrayBuffer) {
    const bytes = bytesOf(body);
    return { chunks: [bytes], bytes: bytes.length };
  }
  if (typeof body === 'object' && (Symbol.asyncIterator in body || Symbol.iterator in body))
    return { chunks: body as AsyncIterable<unknown> };
  throw new TypeError('a request body must be text, bytes or a stream of them');
}

/** What the supervisor says itself is left out, where it would say the same. */
function readHeaders(
  pairs: readonly (readonly [string, string])[],
  host: string,
): { readonly kept: FetchRequest['headers']; readonly length: number | undefined } {
  let length: number | undefined;
  const kept = pairs.filter(([name, value]) => {
    const lowerName = name.toLowerCase();
    if (lowerName === 'content-length') length = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    const isImplied =
      lowerName === 'content-length' ||
      (lowerName === 'host' && value.toLowerCase() === host) ||
      (lowerName === 'connection' && /^(keep-alive|close)$/i.test(value));
    return !isImplied;
  });
  return { kept, length };
}

/** Undici takes an object, an iterable of pairs, or an array of names and values in turn. */
function headerPairs(headers: unknown): readonly (readonly [string, string])[] {
  if (headers === null || headers === undefined) return [];
  if (Array.isArray(headers))
    return headers.flatMap((name, at) =>
      at % 2 === 0 ? valuesOf(headers[at + 1]).map((value) => [String(name), value] as const) : [],
    );
  const entries: Iterable<[unknown, unknown]> =
    Symbol.iterator in Object(headers)
      ? (headers as Iterable<[unknown, unknown]>)
      : Object.entries(headers as object);
  return [...entries].flatMap(([name, value]) =>
    valuesOf(value).map((each) => [String(name), each] as const),
  );
}

function valuesOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map(String);
  return [Buffer.isBuffer(value) ? value.toString('latin1') : String(value)];
}

function lengthMismatch(sent: number, length: number): Error {
  return new TypeError(`a body of ${sent} bytes or more, its content-length is ${length}`);
}

function failure(code: string, message: string, reason?: string): Error {
  return Object.assign(new Error(message), { code, ...(reason === undefined ? {} : { reason }) });
}
