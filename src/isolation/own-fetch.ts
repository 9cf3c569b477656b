import { FetchDispatcher } from '../../worker/fetch-dispatcher.ts';
import type { FetchReply } from '../../worker/fetch-protocol.ts';
import type { EgressGateOptions } from './egress-gate.ts';
import { FetchBroker } from './fetch-broker.ts';

/** What one {@link OwnFetch} needs to know. */
export interface OwnFetchOptions extends EgressGateOptions {
  /** Called when nothing is under way, each time that happens. */
  readonly onIdle: () => void;
}

const ENDED = {
  type: 'fetch-failed',
  code: 'ECONNABORTED',
  message: 'the call has ended',
} as const;

/**
 * `fetch` for this process under network rules: Node's own, whose requests a broker makes as it makes
 * those of a worker, with the same rules, records and bounds. It holds to the rules only who uses it.
 */
export class OwnFetch {
  readonly #broker: FetchBroker;
  readonly #dispatcher: FetchDispatcher;
  readonly #onIdle: () => void;
  #open = 0;
  #isDestroyed = false;

  constructor({ onIdle, ...options }: OwnFetchOptions) {
    const reply = (message: FetchReply): void => {
      // Never within the call that it answers: the other side is not ready then.
      queueMicrotask(() => this.#dispatcher.receive(message));
      if (message.type === 'fetch-end' || message.type === 'fetch-failed') this.#closeOne();
    };
    this.#onIdle = onIdle;
    this.#broker = new FetchBroker({ ...options, reply });
    this.#dispatcher = new FetchDispatcher((message) => {
      if (message.type === 'fetch') this.#open += 1;
      // The next hop of a redirect that was under way when everything was ended: nobody else answers.
      if (message.type === 'fetch' && this.#isDestroyed) reply({ ...ENDED, id: message.id });
      else this.#broker.receive(message);
    });
  }

  /** As the global `fetch`. Whatever dispatcher `init` names is not used. */
  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    // The types of Node's fetch know dispatchers only as classes of undici.
    const options = { ...init, dispatcher: this.#dispatcher } as unknown as RequestInit;
    // Under way over all hops of a redirect, and also where nothing is ever asked for.
    this.#open += 1;
    try {
      return await fetch(input, options);
    } finally {
      this.#closeOne();
    }
  }

  /** Ends what is under way. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#broker.destroy();
  }

  #closeOne(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#onIdle();
  }
}
