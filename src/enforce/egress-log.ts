import type { AuditTrail } from '../audit/index.ts';
import type { EgressRecord } from '../isolation/index.ts';

/**
 * Writes the connections of one call into the trail as they end. The call goes on meanwhile; its
 * outcome waits for them, and is `audit-failed` when one could not be written.
 */
export class EgressLog {
  readonly #trail: AuditTrail | null;
  readonly #callId: string;
  readonly #writes: Promise<{ readonly failure?: unknown }>[] = [];
  #failed: { readonly failure: unknown } | null = null;

  constructor(trail: AuditTrail | null, callId: string) {
    this.#trail = trail;
    this.#callId = callId;
  }

  /** @throws what kept an earlier one from being written: whoever asks lets nothing through then */
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
    if (this.#trail === null) return;
    if (this.#failed !== null) throw this.#failed.failure;
    // Settled here: a rejection that waits for the end of the call would count as unhandled.
    const write = this.#trail.append(entry).then(
      () => ({}),
      (failure: unknown) => {
        this.#failed ??= { failure };
        return { failure };
      },
    );
    this.#writes.push(write);
  }

  /** Why an entry could not be written, once all were tried; undefined when all are there. */
  async firstFailure(): Promise<unknown> {
    const results = await Promise.all(this.#writes);
    return results.find((result) => 'failure' in result)?.failure;
  }
}
