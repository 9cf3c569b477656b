import { randomBytes, timingSafeEqual } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { chmodSync } from 'node:fs';
import { Agent, type IncomingMessage } from 'node:http';
import { createServer, isIP, type LookupFunction, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type PrepareRequestFunctionOpts,
  type PrepareRequestFunctionResult,
  RequestError,
  Server,
} from 'proxy-chain';
import type { NetworkRules } from '../call.ts';
import { type AddressList, forbiddenAddresses } from './egress-addresses.ts';
import {
  decideAddresses,
  decideHost,
  type EgressDecision,
  type EgressReason,
} from './egress-rule.ts';

/** At once, for one call. */
const CONNECTIONS_MAX = 128;
/** Over the whole call: each request is an entry of the trail. The last one says that it is. */
const REQUESTS_MAX = 4096;
const LOOKUP_MS_MAX = 5000;
const CLOSE_MS_MAX = 100;

/** One connection that a tool asked for, after it ended or was refused. */
export interface EgressRecord {
  readonly host: string;
  readonly port: number;
  readonly effect: 'allow' | 'deny';
  readonly reason?: EgressReason;
  /** The addresses it was held to. */
  readonly addresses: readonly string[];
  /** From the destination to the tool. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What a proxy needs to know. */
export interface EgressProxyOptions {
  readonly rules: NetworkRules;
  /**
   * Where the proxy listens, at most 107 bytes. Any user may connect, so that the tool's own user
   * can: the folder must be closed to everybody but the supervisor.
   */
  readonly socketPath: string;
  /**
   * Called once per destination of a connection, at its end or when it is refused. Once it threw,
   * everything is refused, and `close` rejects with what it threw.
   */
  readonly onRecord: (record: EgressRecord) => void;
  /** Addresses of a name; the host's resolver unless another one is given. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Addresses that are never connected to; unless given, {@link forbiddenAddresses}. */
  readonly forbidden?: AddressList;
  /** Requests of the whole call, each an entry of the trail; 4,096 unless given. */
  readonly requestsMax?: number;
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
  const gate = new EgressGate(options, credentials, proxy);
  proxy.prepareRequestFunction = (request) => gate.prepare(request);
  proxy.on('connectionClosed', ({ connectionId }) => gate.settle(connectionId));
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
      gate.end();
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

class EgressGate {
  readonly #options: EgressProxyOptions;
  readonly #credentials: Buffer;
  readonly #proxy: Server;
  readonly #forbidden: AddressList;
  readonly #requestsMax: number;
  readonly #transfers = new Map<number, Transfer>();
  /** Pinned sockets must not be handed to a request that was judged for other addresses. */
  readonly #agent = new Agent({ keepAlive: false });
  #requests = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: EgressProxyOptions, credentials: string, proxy: Server) {
    this.#options = options;
    this.#credentials = Buffer.from(credentials);
    this.#proxy = proxy;
    this.#requestsMax = options.requestsMax ?? REQUESTS_MAX;
    this.#forbidden = options.forbidden ?? forbiddenAddresses(ownAddresses());
  }

  /** UNTRUSTED: every field of the request was sent by the tool. */
  async prepare(opts: PrepareRequestFunctionOpts): Promise<PrepareRequestFunctionResult> {
    const { connectionId, hostname, port, request } = opts;
    if (!this.#isAuthentic(opts)) return { requestAuthentication: true };
    this.#requests += 1;
    if (this.#failure !== null || this.#requests > this.#requestsMax)
      throw new RequestError('enforcecore: no more connections', 403);
    const decision = await this.#decide(hostname, port);
    if (decision.effect === 'deny') {
      this.#record({ ...decision, port, addresses: [], bytesIn: 0, bytesOut: 0 });
      throw new RequestError(`enforcecore: ${decision.reason}`, 403);
    }
    const { host, addresses } = decision;
    // Requests of one connection may overlap: each one ends the one before it.
    this.settle(connectionId);
    this.#transfers.set(connectionId, { host, port, addresses, before: this.#bytes(connectionId) });
    nameTheHost(request, hostname, port);
    // proxy-chain calls it as net.connect does; only the type asks for the promisified form too.
    const dnsLookup = pinned(addresses) as NonNullable<PrepareRequestFunctionResult['dnsLookup']>;
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
    this.#record({ host, port, effect: 'allow', addresses, bytesIn, bytesOut });
  }

  end(): void {
    for (const connectionId of [...this.#transfers.keys()]) this.settle(connectionId);
    this.#agent.destroy();
    if (this.#failure !== null) throw this.#failure.error;
  }

  #isAuthentic({ username, password }: PrepareRequestFunctionOpts): boolean {
    const given = Buffer.from(`${username}:${password}`);
    return given.length === this.#credentials.length && timingSafeEqual(given, this.#credentials);
  }

  async #decide(hostname: string, port: number): Promise<EgressDecision> {
    const { rules } = this.#options;
    if (this.#requests === this.#requestsMax)
      return { effect: 'deny', host: hostname, reason: 'too-many' };
    const named = decideHost({ host: hostname, port }, rules);
    if (named.effect === 'deny') return named;
    const addresses = isIP(named.host) === 0 ? await this.#resolve(named.host) : [named.host];
    return decideAddresses({ host: named.host, addresses }, rules, this.#forbidden);
  }

  /** A resolver that fails or hangs has found nothing. */
  async #resolve(host: string): Promise<readonly string[]> {
    const { resolve = resolveByHost } = this.#options;
    const found = resolve(host).then(
      (addresses) => addresses,
      () => [],
    );
    return await Promise.race([found, pause(LOOKUP_MS_MAX, [], { ref: false })]);
  }

  #record(record: EgressRecord): void {
    try {
      this.#options.onRecord(record);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #bytes(connectionId: number): { in: number; out: number } {
    const stats = this.#proxy.getConnectionStats(connectionId);
    return { in: stats?.trgRxBytes ?? 0, out: stats?.trgTxBytes ?? 0 };
  }
}

async function resolveByHost(host: string): Promise<readonly string[]> {
  const entries = await lookup(host, { all: true, verbatim: true });
  return entries.map(({ address }) => address);
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map(({ address }) => address),
  );
}

/** A lookup that knows only the addresses that were judged, whatever it is asked for. */
function pinned(addresses: readonly string[]): LookupFunction {
  const entries = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, { all }, callback) => {
    const [first] = entries;
    if (all === true) callback(null, entries);
    else callback(null, first?.address ?? '', first?.family ?? 0);
  };
}

/** RFC 9112 section 3.2.2: the target of the request, not its Host header, names the host. */
function nameTheHost(request: IncomingMessage, hostname: string, port: number): void {
  const { rawHeaders } = request;
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() === 'host')
      rawHeaders[at + 1] = port === 80 ? hostname : `${hostname}:${port}`;
}
