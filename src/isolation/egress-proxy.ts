import { randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { Agent, type IncomingMessage } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type PrepareRequestFunctionOpts,
  type PrepareRequestFunctionResult,
  RequestError,
  Server,
} from 'proxy-chain';
import { EgressGate, type EgressGateOptions, pinnedLookup } from './egress-gate.ts';

/** At once, for one call. */
const CONNECTIONS_MAX = 128;
const CLOSE_MS_MAX = 100;

/** What a proxy needs to know. */
export interface EgressProxyOptions extends EgressGateOptions {
  /**
   * Where the proxy listens, at most 107 bytes. Any user may connect, so that the tool's own user
   * can: the folder must be closed to everybody but the supervisor.
   */
  readonly socketPath: string;
}

/** The proxy of one call. Close it when the call has ended. */
export interface EgressProxy {
  readonly socketPath: string;
  /** `user:password` that the tool's requests must carry. */
  readonly credentials: string;
  /** Ends every connection and reports it. Rejects when a record could not be taken. */
  readonly close: () => Promise<void>;
}

/**
 * Starts the only way out of a sandbox: an HTTP proxy, for plain requests and CONNECT tunnels, that
 * decides by destination, resolves names itself and connects to the addresses it has judged.
 *
 * It listens on a unix socket and on no port, so that nothing else on the host can use it. What is
 * said inside a TLS tunnel is not seen: a front that serves several domains can lead to others.
 *
 * @throws the system's error when the socket cannot be made
 */
export async function startEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const credentials = `call:${randomBytes(24).toString('base64url')}`;
  const proxy = new Server({ authRealm: 'enforcecore' });
  const transfers = new Transfers(new EgressGate(options), credentials, proxy);
  proxy.prepareRequestFunction = (request) => transfers.prepare(request);
  proxy.on('connectionClosed', ({ connectionId }) => transfers.settle(connectionId));
  // As http.Server does: a client that has said everything still waits for the answer.
  const listener = createServer({ allowHalfOpen: true }, (socket) => accept(proxy, socket));
  listener.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(options.socketPath, () => resolve());
  });
  chmodSync(options.socketPath, 0o666);
  return {
    socketPath: options.socketPath,
    credentials,
    close: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      proxy.closeConnections();
      await Promise.race([closed, pause(CLOSE_MS_MAX)]);
      transfers.end();
    },
  };
}

/** proxy-chain drops sockets without an address, which unix sockets do not have. */
function accept(proxy: Server, socket: Socket): void {
  Object.defineProperty(socket, 'remoteAddress', { value: '127.0.0.1' });
  proxy.server.emit('connection', socket);
}

interface Transfer {
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
  /** Counters of the connection when this destination began: a client may reuse it for others. */
  readonly before: { readonly in: number; readonly out: number };
}

class Transfers {
  readonly #gate: EgressGate;
  readonly #credentials: Buffer;
  readonly #proxy: Server;
  readonly #transfers = new Map<number, Transfer>();
  /** Pinned sockets must not be handed to a request that was judged for other addresses. */
  readonly #agent = new Agent({ keepAlive: false });

  constructor(gate: EgressGate, credentials: string, proxy: Server) {
    this.#gate = gate;
    this.#credentials = Buffer.from(credentials);
    this.#proxy = proxy;
  }

  /** UNTRUSTED: every field of the request was sent by the tool. */
  async prepare(opts: PrepareRequestFunctionOpts): Promise<PrepareRequestFunctionResult> {
    const { connectionId, hostname, port, request } = opts;
    if (!this.#isAuthentic(opts)) return { requestAuthentication: true };
    const decision = await this.#gate.admit(hostname, port);
    if (decision.effect === 'deny') throw new RequestError(`enforcecore: ${decision.reason}`, 403);
    const { host, addresses } = decision;
    // Requests of one connection may overlap: each one ends the one before it.
    this.settle(connectionId);
    this.#transfers.set(connectionId, { host, port, addresses, before: this.#bytes(connectionId) });
    nameTheHost(request, hostname, port);
    // proxy-chain calls it as net.connect does; only the type asks for the promisified form too.
    const dnsLookup = pinnedLookup(addresses) as NonNullable<
      PrepareRequestFunctionResult['dnsLookup']
    >;
    return { dnsLookup, httpAgent: this.#agent };
  }

  /** Reports what a connection carried to its last destination. */
  settle(connectionId: number): void {
    const transfer = this.#transfers.get(connectionId);
    if (transfer === undefined) return;
    this.#transfers.delete(connectionId);
    const { host, port, addresses, before } = transfer;
    const now = this.#bytes(connectionId);
    const bytesIn = now.in - before.in;
    const bytesOut = now.out - before.out;
    this.#gate.record({ host, port, effect: 'allow', addresses, bytesIn, bytesOut });
  }

  end(): void {
    for (const connectionId of [...this.#transfers.keys()]) this.settle(connectionId);
    this.#agent.destroy();
    this.#gate.end();
  }

  #isAuthentic({ username, password }: PrepareRequestFunctionOpts): boolean {
    const given = Buffer.from(`${username}:${password}`);
    return given.length === this.#credentials.length && timingSafeEqual(given, this.#credentials);
  }

  #bytes(connectionId: number): { in: number; out: number } {
    const stats = this.#proxy.getConnectionStats(connectionId);
    return { in: stats?.trgRxBytes ?? 0, out: stats?.trgTxBytes ?? 0 };
  }
}

/** RFC 9112 section 3.2.2: the target of the request, not its Host header, names the host. */
function nameTheHost(request: IncomingMessage, hostname: string, port: number): void {
  const { rawHeaders } = request;
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() === 'host')
      rawHeaders[at + 1] = port === 80 ? hostname : `${hostname}:${port}`;
}
