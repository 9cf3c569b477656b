import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  request as requestHttp,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import {
  FETCH_BODY_BYTES_MAX,
  FETCH_PIECE_BYTES_MAX,
  type FetchReply,
  type FetchRequest,
} from '../../worker/fetch-protocol.ts';
import { type EgressGate, pinnedLookup } from './egress-gate.ts';
import type { EgressDecision } from './egress-rule.ts';
import { WorkerMessageError } from './worker-message.ts';

/** Of one answer. Given more, fetch leaves a stream without a listener, whose error ends the process. */
const CODINGS_MAX = 5;
/** Of a response. Node's default, which a flag of the supervisor could raise. */
const RESPONSE_HEADER_BYTES_MAX = 16_384;
/** Responses of status 1xx before the real one. */
const INFORMATIONAL_MAX = 32;
/** Nothing sent and nothing received; undici's default. The deadline of the call is usually sooner. */
const IDLE_MS_MAX = 300_000;
const MESSAGE_CHARS_MAX = 1000;

/**
 * Sockets of one call. None is kept: one that was opened to addresses judged for one request must not
 * carry another. No proxy, cookie or credential of the supervisor's environment is known to them.
 */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

/** Agents that keep no socket open. The owner destroys both. */
export function createAgents(): Agents {
  return { http: new HttpAgent({ keepAlive: false }), https: new HttpsAgent({ keepAlive: false }) };
}

/** What a request is made with. */
export interface BrokeredRequestOptions {
  readonly gate: EgressGate;
  readonly agents: Agents;
  readonly reply: (reply: FetchReply) => void;
  /** Called once, when nothing of it is left. */
  readonly onEnd: () => void;
  readonly idleMs?: number;
}

type Admitted = EgressDecision & { readonly effect: 'allow' };

/**
 * One request that the supervisor makes for a worker. It is judged, made over a connection to an
 * address that was judged, and recorded. Bodies go through piece by piece, each asked for by the side
 * that takes it: at most one is held here, besides what the streams of Node hold.
 */
export class BrokeredRequest {
  readonly #id: number;
  readonly #request: FetchRequest;
  readonly #url: URL;
  readonly #port: number;
  readonly #options: BrokeredRequestOptions;
  #admitted: Admitted | null = null;
  #outgoing: ClientRequest | null = null;
  #incoming: IncomingMessage | null = null;
  #isOver = false;
  #isCancelled = false;
  /** The worker was asked for a piece of the request's body. */
  #isAsked = false;
  /** The worker asked for a piece of the response's body. */
  #isPulled = false;
  #isBodyEnded: boolean;
  #sentBytes = 0;
  #receivedBytes = 0;
  #informational = 0;

  /** @param request - {@link findRequestProblem} found none */
  constructor(id: number, request: FetchRequest, options: BrokeredRequestOptions) {
    this.#id = id;
    this.#request = request;
    this.#url = new URL(request.url);
    this.#port = portOf(this.#url);
    this.#options = options;
    this.#isBodyEnded = request.body === undefined;
  }

  /** Makes the request, unless the rules refuse it. What becomes of it is told by `reply`. */
  async begin(): Promise<void> {
    const decision = await this.#options.gate.admit(this.#url.hostname, this.#port);
    if (this.#isOver) return;
    if (decision.effect === 'deny') {
      const message = `connect EACCES ${this.#url.host} (enforcecore: ${decision.reason})`;
      return this.#fail('EACCES', message, decision.reason);
    }
    this.#admitted = decision;
    if (this.#isCancelled) return this.#fail('ECONNABORTED', 'cancelled');
    try {
      this.#connect(decision);
    } catch (cause) {
      this.#failFrom(cause);
    }
  }

  /** The worker takes one more piece of the response. */
  pull(): void {
    if (this.#isPulled) throw new WorkerMessageError('a second wish for the same piece of a body');
    this.#isPulled = true;
    this.#pump();
  }

  /** A piece of the request's body. */
  takeData(bytes: Buffer): void {
    if (!this.#isAsked || bytes.length === 0)
      throw new WorkerMessageError('a piece of a body that nobody asked for');
    this.#isAsked = false;
    this.#sentBytes += bytes.length;
    const announced = this.#request.body?.bytes ?? Number.POSITIVE_INFINITY;
    if (this.#sentBytes > announced)
      throw new WorkerMessageError('more of a body than it announced');
    if (this.#sentBytes > FETCH_BODY_BYTES_MAX) return this.#failAsTooLarge();
    this.#outgoing?.write(bytes, () => this.#ask());
  }

  /** The request's body is whole. */
  endBody(): void {
    if (this.#isBodyEnded) throw new WorkerMessageError('a second end of a body');
    this.#isBodyEnded = true;
    this.#isAsked = false;
    const announced = this.#request.body?.bytes ?? this.#sentBytes;
    if (this.#sentBytes !== announced)
      throw new WorkerMessageError('less of a body than it announced');
    this.#outgoing?.end();
  }

  /** Nobody wants the answer any more. A name that is being resolved still is. */
  cancel(): void {
    if (this.#isCancelled) throw new WorkerMessageError('a second cancellation');
    this.#isCancelled = true;
    if (this.#admitted !== null) this.#fail('ECONNABORTED', 'cancelled');
  }

  /** The call has ended. What was not yet judged is recorded by the gate. */
  destroy(): void {
    this.#fail('ECONNABORTED', 'the call has ended');
  }

  #connect({ host, addresses }: Admitted): void {
    const { agents, idleMs = IDLE_MS_MAX } = this.#options;
    const { protocol, pathname, search } = this.#url;
    const target = {
      host,
      port: this.#port,
      method: this.#request.method,
      path: `${pathname}${search}`,
      lookup: pinnedLookup(addresses),
      setHost: false,
      maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
      timeout: idleMs,
      // Both could be switched off by the supervisor's flags and environment.
      insecureHTTPParser: false,
      rejectUnauthorized: true,
    };
    const outgoing =
      protocol === 'https:'
        ? requestHttps({ ...target, agent: agents.https, servername: isIP(host) === 0 ? host : '' })
        : requestHttp({ ...target, agent: agents.http });
    this.#outgoing = outgoing;
    outgoing.on('error', (error) => this.#failFrom(error));
    outgoing.on('close', () => this.#onClose());
    outgoing.on('timeout', () => this.#fail('ETIMEDOUT', `nothing came for ${idleMs} ms`));
    outgoing.on('information', () => this.#countInformational());
    outgoing.on('response', (incoming) => this.#onResponse(incoming));
    for (const [name, values] of this.#headers(host)) outgoing.setHeader(name, values);
    if (this.#isBodyEnded) outgoing.end();
    else {
      outgoing.flushHeaders();
      this.#ask();
    }
  }

  /** The worker's, and those that say where the request goes and where its body ends. */
  #headers(host: string): ReadonlyMap<string, string[]> {
    const { headers, body } = this.#request;
    const grouped = new Map<string, string[]>();
    const add = (name: string, value: string): void => {
      grouped.set(name, [...(grouped.get(name) ?? []), value]);
    };
    const name = isIP(host) === 6 ? `[${host}]` : host;
    add('host', this.#url.port === '' ? name : `${name}:${this.#url.port}`);
    for (const [key, value] of headers) add(key.toLowerCase(), value);
    // Always said: without either, Node would send the body of some methods without a frame.
    if (body?.bytes !== undefined) add('content-length', String(body.bytes));
    else if (body !== undefined) add('transfer-encoding', 'chunked');
    return grouped;
  }

  #onResponse(incoming: IncomingMessage): void {
    this.#incoming = incoming;
    incoming.on('error', (error) => this.#failFrom(error));
    if ((incoming.statusCode ?? 0) < 200) return this.#fail('EPROTO', 'a status below 200');
    const codings = String(incoming.headers['content-encoding'] ?? '').split(',').length;
    if (codings > CODINGS_MAX)
      return this.#fail('EPROTO', `more than ${CODINGS_MAX} content codings`);
    incoming.on('readable', () => this.#pump());
    incoming.on('end', () => this.#conclude({ type: 'fetch-end', id: this.#id }));
    if (this.#isOver) return;
    this.#options.reply({
      type: 'fetch-response',
      id: this.#id,
      status: incoming.statusCode ?? 0,
      statusText: incoming.statusMessage ?? '',
      headers: incoming.rawHeaders,
    });
  }

  /** The connection. What came of a response is still to be read then. */
  #onClose(): void {
    if (this.#incoming === null) this.#fail('ECONNRESET', 'the server gave no answer');
  }

  /** Passes on one piece, when one is there and wanted. */
  #pump(): void {
    const incoming = this.#incoming;
    if (!this.#isPulled || incoming === null || this.#isOver) return;
    const size = Math.min(incoming.readableLength, FETCH_PIECE_BYTES_MAX);
    // Also at the end, which a stream only tells who reads.
    const bytes = incoming.read(size === 0 ? undefined : size) as Buffer | null;
    if (bytes === null) return;
    this.#isPulled = false;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > FETCH_BODY_BYTES_MAX) return this.#failAsTooLarge();
    this.#options.reply({ type: 'fetch-data', id: this.#id, data: bytes.toString('base64') });
  }

  #ask(): void {
    if (this.#isOver || this.#isBodyEnded || this.#isAsked) return;
    this.#isAsked = true;
    this.#options.reply({ type: 'fetch-pull', id: this.#id });
  }

  #countInformational(): void {
    this.#informational += 1;
    if (this.#informational > INFORMATIONAL_MAX)
      this.#fail('EPROTO', `more than ${INFORMATIONAL_MAX} responses of status 1xx`);
  }

  #failAsTooLarge(): void {
    this.#fail('EFBIG', `a body of more than ${FETCH_BODY_BYTES_MAX} bytes`);
  }

  /** UNTRUSTED: a server may have a part in the text. */
  #failFrom(cause: unknown): void {
    const { code, message } = cause as NodeJS.ErrnoException;
    this.#fail(code ?? 'EPROTO', message);
  }

  #fail(code: string, text: string, reason?: string): void {
    const message = text.slice(0, MESSAGE_CHARS_MAX).toWellFormed();
    const why = reason === undefined ? {} : { reason };
    this.#conclude({ type: 'fetch-failed', id: this.#id, code, message, ...why });
  }

  /** The first end counts. Recorded before it is told. */
  #conclude(last: FetchReply & { readonly type: 'fetch-end' | 'fetch-failed' }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#admitted !== null) this.#record(this.#admitted);
    this.#outgoing?.destroy();
    this.#options.onEnd();
    this.#options.reply(last);
  }

  #record({ host, addresses }: Admitted): void {
    const { bytesRead = 0, bytesWritten = 0 } = this.#outgoing?.socket ?? {};
    this.#options.gate.record({
      host,
      port: this.#port,
      effect: 'allow',
      addresses,
      bytesIn: bytesRead,
      bytesOut: bytesWritten,
    });
  }
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}
