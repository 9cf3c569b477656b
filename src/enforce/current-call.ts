import { AsyncLocalStorage } from 'node:async_hooks';
import type { FunctionCall } from '../isolation/index.ts';

/** The one enforced call that a function of this process is running for. */
export type CurrentCall = FunctionCall;

// Holds no state of its own: each call sees the value it was run with, and no other.
const current: AsyncLocalStorage<CurrentCall> = new AsyncLocalStorage();

/**
 * The enforced call that the running code belongs to: in a function given to `enforce()` or
 * `enforcer.wrap()`, and in whatever it calls or awaits. Its `signal` fires shortly before the
 * deadline, at a caller's abort and at the kill switch; a function that ignores it runs on after its
 * call has been rejected.
 *
 * @returns undefined outside of such a function
 */
export function currentCall(): CurrentCall | undefined {
  return current.getStore();
}

/** Runs `body` so that {@link currentCall} in it gives `call`. */
export function runAsCall<T>(call: CurrentCall, body: () => T): T {
  return current.run(call, body);
}
