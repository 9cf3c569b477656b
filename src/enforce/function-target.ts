import type { Json } from '../call.ts';
import { EnforceError } from '../errors.ts';
import { runAsCall } from './current-call.ts';
import type { FunctionTarget } from './identify.ts';

/** A function of this process, as it can be called. */
export type AnyFunction = (...args: never[]) => unknown;

/** Positional arguments of a wrapped function as one value that a policy can speak about. */
export interface BoundArguments {
  readonly target: FunctionTarget;
  readonly args: unknown;
}

/** @throws {EnforceError} `ENF_CALL_ARGUMENT` when it is no function */
export function checkFunction(fn: unknown): void {
  if (typeof fn === 'function') return;
  const message = `what is enforced must be a function, got ${fn === null ? 'null' : typeof fn}`;
  throw new EnforceError('ENF_CALL_ARGUMENT', message);
}

/**
 * Turns a function and its positional arguments into a target and one JSON value, and back: the
 * function gets the redacted values, in their places.
 *
 * @param params - names of the arguments; without them the value is the array of arguments
 */
export function bindArguments(
  fn: AnyFunction,
  self: unknown,
  values: readonly unknown[],
  { tool, params }: { readonly tool: string; readonly params?: readonly string[] | undefined },
): BoundArguments {
  const nameOf = (index: number): string => params?.[index] ?? `args[${index}]`;
  const args =
    params === undefined
      ? values
      : Object.fromEntries(values.map((value, index) => [nameOf(index), value]));
  const place = (sent: Json): unknown[] =>
    values.map((value, index) => {
      // JSON has no undefined; a default parameter must still see it.
      if (value === undefined) return undefined;
      return params === undefined
        ? (sent as readonly Json[])[index]
        : (sent as Readonly<Record<string, Json>>)[nameOf(index)];
    });
  return {
    args,
    target: {
      kind: 'function',
      identity: { kind: 'function', path: fn.name || tool },
      invoke: (sent, call) => runAsCall(call, () => Reflect.apply(fn, self, place(sent))),
    },
  };
}
