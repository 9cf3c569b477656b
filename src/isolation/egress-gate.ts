import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { NetworkRules } from '../call.ts';
import { type AddressList, forbiddenAddresses } from './egress-addresses.ts';
import {
  decideAddresses,
  decideHost,
  type EgressDecision,
  type EgressReason,
} from './egress-rule.ts';

/** Over the whole call: each request is an entry of the trail. The last one says that it is. */
const REQUESTS_MAX = 4096;
const LOOKUP_MS_MAX = 5000;
/** Of what is no name; names are shorter. */
const HOST_CHARS_MAX = 256;

/** One request or tunnel that a tool asked for, after it ended or was refused. */
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

/** What decides about the requests of one call. */
export interface EgressGateOptions {
  readonly rules: NetworkRules;
  /**
   * Called once per request, at its end or when it is refused. Once it threw, everything is refused:
   * {@link EgressGate.isRecorded} says so, and {@link EgressGate.end} throws what it threw.
   */
  readonly onRecord: (record: EgressRecord) => void;
  /** Addresses of a name; the host's resolver unless another one is given. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Addresses that are never connected to; unless given, {@link forbiddenAddresses}. */
  readonly forbidden?: AddressList;
  /** Requests of the whole call, each an entry of the trail; 4,096 unless given. */
  readonly requestsMax?: number;
}

/** How the egress gate finds addresses, and which it never lets through. */
export type Resolution = Pick<EgressGateOptions, 'resolve' | 'forbidden'>;

/**
 * The one place where the requests of a call are judged, counted and recorded, whoever makes them
 * then: the proxy of a sandbox or the broker of `fetch`.
 */
export class EgressGate {
  readonly #options: EgressGateOptions;
  readonly #forbidden: AddressList;
  readonly #requestsMax: number;
  readonly #undecided = new Set<{ readonly host: string; readonly port: number }>();
  #requests = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: EgressGateOptions) {
    this.#options = options;
    this.#requestsMax = options.requestsMax ?? REQUESTS_MAX;
    this.#forbidden = options.forbidden ?? forbiddenAddresses(ownAddresses());
  }

  /**
   * Judges the name, resolves it and judges the addresses. Refusals are recorded here; whoever is let
   * through connects to these addresses and to no others, and calls {@link record} at the end.
   *
   * @param host - UNTRUSTED: as the tool wrote it
   */
  async admit(host: string, port: number): Promise<EgressDecision> {
    this.#requests += 1;
    if (this.#failure !== null) return { effect: 'deny', host, reason: 'not-recorded' };
    // Not recorded: the entry of the last one said that it was.
    if (this.#requests > this.#requestsMax) return { effect: 'deny', host, reason: 'too-many' };
    const asked = { host, port };
    this.#undecided.add(asked);
    const decision = await this.#decide(host, port);
    // False: the call ended meanwhile, which recorded it.
    if (!this.#undecided.delete(asked)) return { effect: 'deny', host, reason: 'not-resolved' };
    if (decision.effect === 'deny') this.#recordRefusal(decision, port);
    return decision;
  }

  /** Takes what became of a request. Never throws: what was not taken closes the gate. */
  record(record: EgressRecord): void {
    try {
      this.#options.onRecord({ ...record, host: record.host.slice(0, HOST_CHARS_MAX) });
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** False once a record was not taken. */
  get isRecorded(): boolean {
    return this.#failure === null;
  }

  /** The call has ended. What is still being resolved is recorded: its name may have been asked for. */
  settle(): void {
    for (const { host, port } of this.#undecided)
      this.#recordRefusal({ effect: 'deny', host, reason: 'not-resolved' }, port);
    this.#undecided.clear();
  }

  /**
   * {@link settle}, for owners that have nobody else to tell.
   *
   * @throws what `onRecord` threw
   */
  end(): void {
    this.settle();
    if (this.#failure !== null) throw this.#failure.error;
  }

  #recordRefusal(refusal: EgressDecision & { readonly effect: 'deny' }, port: number): void {
    this.record({ ...refusal, port, addresses: [], bytesIn: 0, bytesOut: 0 });
  }

  async #decide(host: string, port: number): Promise<EgressDecision> {
    const { rules } = this.#options;
    if (this.#requests === this.#requestsMax) return { effect: 'deny', host, reason: 'too-many' };
    const named = decideHost({ host, port }, rules);
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
}

/** A lookup that knows only the addresses that were judged, whatever it is asked for. */
export function pinnedLookup(addresses: readonly string[]): LookupFunction {
  const entries = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, { all }, callback) => {
    const [first] = entries;
    if (all === true) callback(null, entries);
    else callback(null, first?.address ?? '', first?.family ?? 0);
  };
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
