import type { AuditTrail } from '../audit/index.ts';
import type { NetworkRules } from '../call.ts';
import { AuditError, CallDeniedError } from '../errors.ts';
import { type EgressRecord, OwnFetch, type Resolution } from '../isolation/index.ts';
import { EgressLog } from './egress-log.ts';

/**
 * The requests that code of this process makes through {@link Enforcer.fetch}: judged by the network
 * rules and recorded like a tool's. Nothing makes that code use it.
 */
export class EnforcedFetch {
  readonly #trail: AuditTrail | null;
  readonly #resolution: Resolution;
  readonly #running = new Set<OwnFetch>();
  readonly #writes = new Set<Promise<void>>();
  #failure: { readonly cause: unknown } | null = null;

  /** @param resolution - another resolver of names than the host's */
  constructor(trail: AuditTrail | null, resolution: Resolution = {}) {
    this.#trail = trail;
    this.#resolution = resolution;
  }

  /**
   * Fetches, and follows redirects, where the rules allow each of them.
   *
   * @param made.callId - of the call that makes it, under which it is recorded
   * @throws {CallDeniedError} `ENF_DENIED_NETWORK` with `host`, `port` and `reason` in its details
   * @throws {AuditError} `ENF_AUDIT_WRITE` when this request, or one before it, was not recorded
   * @throws {TypeError} as fetch does, when the request fails
   */
  async fetch(
    made: { readonly rules: NetworkRules; readonly callId: string },
    input: string | URL | Request,
    init?: RequestInit,
  ): Promise<Response> {
    this.#refuseUnrecorded();
    const { rules, callId } = made;
    const log = new EgressLog(this.#trail, callId);
    const refused: EgressRecord[] = [];
    const own = new OwnFetch({
      ...this.#resolution,
      rules,
      onRecord: (record) => {
        if (record.effect === 'deny') refused.push(record);
        log.add(record);
        this.#watch(log);
      },
      onIdle: () => this.#running.delete(own),
    });
    this.#running.add(own);
    try {
      return await own.fetch(input, init);
    } catch (cause) {
      await Promise.all(this.#writes);
      this.#refuseUnrecorded();
      const [first] = refused;
      // A name that leads nowhere is no decision of ours.
      if (first === undefined || first.reason === 'not-resolved') throw cause;
      throw denied(first, cause);
    }
  }

  /** Ends what is under way. */
  stop(): void {
    for (const own of this.#running) own.destroy();
  }

  /** {@link stop}, then waits until all of it is recorded. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all(this.#writes);
  }

  #watch(log: EgressLog): void {
    const write = log.firstFailure().then((cause) => {
      this.#writes.delete(write);
      if (cause !== undefined) this.#failure ??= { cause };
    });
    this.#writes.add(write);
  }

  #refuseUnrecorded(): void {
    if (this.#failure === null) return;
    const message = 'a request of `enforcer.fetch` could not be recorded; no other is made';
    throw new AuditError('ENF_AUDIT_WRITE', message, this.#failure);
  }
}

function denied({ host, port, reason }: EgressRecord, cause: unknown): CallDeniedError {
  const message = `a request to \`${host}\`, port ${port}, is not allowed: ${reason}`;
  return new CallDeniedError('ENF_DENIED_NETWORK', message, {
    cause,
    details: { host, port, reason },
  });
}
