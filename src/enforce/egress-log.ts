import type { AuditTrail } from '../audit/index.ts';
import type { EgressRecord } from '../isolation/index.ts';

/**
 * Writes the connections of one call into the trail as they end. The call goes on meanwhile; its
 * outcome waits for them, and is `audit-failed` when one could not be written.
 */
export class EgressLog {
  readonly #trail: AuditTrail | null;
  readonly #callId: string;
  readonly #writes: Promise<unknown>[] = [];

  constructor(trail: AuditTrail | null, callId: string) {
    this.#trail = trail;
    this.#callId = callId;
  }

  add({ host, port, bytesIn, bytesOut, effect, reason }: EgressRecord): void {
    const entry = {
      type: 'egress',
      callId: this.#callId,
      host,
      port,
      bytesIn,
      bytesOut,
      effect,
      ...(reason === undefined ? {} : { reason }),
    } as const;
    if (this.#trail !== null) this.#writes.push(this.#trail.append(entry));
  }

  /** Why an entry could not be written, once all were tried; undefined when all are there. */
  async firstFailure(): Promise<unknown> {
    const results = await Promise.allSettled(this.#writes);
    return results.find((result) => result.status === 'rejected')?.reason;
  }
}
