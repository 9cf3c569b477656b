import {
  FETCHES_OPEN_MAX,
  type FetchMessage,
  type FetchReply,
  type FetchRequest,
  findRequestProblem,
} from '../../worker/fetch-protocol.ts';
import { type Agents, BrokeredRequest, createAgents } from './brokered-request.ts';
import { EgressGate, type EgressGateOptions } from './egress-gate.ts';
import { WorkerMessageError } from './worker-message.ts';

/** A message about a request that has just ended crossed our last word: one of each kind at most. */
const LATE_PER_REQUEST_MAX = 4;

/** What a broker needs to know. */
export interface FetchBrokerOptions extends EgressGateOptions {
  readonly reply: (reply: FetchReply) => void;
  /** A request that nothing moves for so long has failed; five minutes unless given. */
  readonly idleMs?: number;
}

/**
 * Makes the requests of one call that has no network of its own. Every request is judged by the
 * policy, connected to an address that was judged, and recorded, as through the proxy of a sandbox;
 * a redirect is an answer like any other, and following it is another request.
 *
 * Destroy it when the call has ended.
 */
export class FetchBroker {
  readonly #options: FetchBrokerOptions;
  readonly #gate: EgressGate;
  readonly #agents: Agents = createAgents();
  readonly #open = new Map<number, BrokeredRequest>();
  #lastId = 0;
  #late = 0;
  #isDestroyed = false;

  constructor(options: FetchBrokerOptions) {
    this.#options = options;
    this.#gate = new EgressGate(options);
  }

  /**
   * Takes a message of the worker.
   *
   * @param message - UNTRUSTED, but of a known shape
   * @throws {WorkerMessageError} when it may not be said, or not now
   */
  receive(message: FetchMessage): void {
    if (this.#isDestroyed) return;
    if (message.type === 'fetch') return this.#begin(message.id, message.request);
    const request = this.#open.get(message.id);
    if (request === undefined) return this.#onLate(message.id);
    switch (message.type) {
      case 'fetch-data':
        return request.takeData(Buffer.from(message.data, 'base64'));
      case 'fetch-pull':
        return request.pull();
      case 'fetch-end':
        return request.endBody();
      case 'fetch-cancel':
        return request.cancel();
    }
  }

  /** False once a record was not taken. */
  get isRecorded(): boolean {
    return this.#gate.isRecorded;
  }

  /** Ends every request and reports it. It makes no other. */
  destroy(): void {
    this.#isDestroyed = true;
    for (const request of [...this.#open.values()]) request.destroy();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
    this.#gate.settle();
  }

  #begin(id: number, asked: FetchRequest): void {
    if (id !== this.#lastId + 1) throw new WorkerMessageError('a request out of turn');
    if (this.#open.size === FETCHES_OPEN_MAX)
      throw new WorkerMessageError(`more than ${FETCHES_OPEN_MAX} requests at once`);
    const problem = findRequestProblem(asked);
    if (problem !== null) throw new WorkerMessageError(`a request with ${problem}`);
    this.#lastId = id;
    const { reply, idleMs } = this.#options;
    const request = new BrokeredRequest(id, asked, {
      gate: this.#gate,
      agents: this.#agents,
      reply,
      onEnd: () => this.#open.delete(id),
      ...(idleMs === undefined ? {} : { idleMs }),
    });
    this.#open.set(id, request);
    void request.begin();
  }

  #onLate(id: number): void {
    this.#late += 1;
    if (id > this.#lastId)
      throw new WorkerMessageError('something about a request it did not make');
    if (this.#late > this.#lastId * LATE_PER_REQUEST_MAX)
      throw new WorkerMessageError('too much about requests that have ended');
  }
}
