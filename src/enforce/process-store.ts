import { memoryStore, type StateStore } from '../usage/index.ts';

let shared: StateStore | undefined;

/**
 * The counters that all calls of this process without an enforcer share: without them, a rate or a
 * budget would start anew with each call. The one piece of state at module level, for that reason.
 */
export function processStore(): StateStore {
  shared ??= memoryStore();
  // One-off enforcers close what they use; the counters must outlive them.
  return { ...shared, close: async () => {} };
}
