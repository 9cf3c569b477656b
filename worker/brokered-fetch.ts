import { FetchDispatcher } from './fetch-dispatcher.ts';
import type { FetchMessage } from './fetch-protocol.ts';

/** Where undici 5 to 7 and undici 8 look for the dispatcher of `fetch`. */
const REGISTRIES = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'];

/**
 * From now on `fetch` of this process, and the package `undici`, ask the supervisor. Nothing else
 * changes: `http`, `https` and `net` still find no network.
 *
 * @returns the dispatcher, which is to be given the answers
 */
export function brokerFetch(send: (message: FetchMessage) => void): FetchDispatcher {
  const dispatcher = new FetchDispatcher(send);
  for (const registry of REGISTRIES)
    Object.defineProperty(globalThis, Symbol.for(registry), {
      value: dispatcher,
      writable: true,
      enumerable: false,
      // As undici defines it itself, so that it can be set again for the next call.
      configurable: false,
    });
  return dispatcher;
}
