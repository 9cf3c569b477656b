import { EnforceError } from '../errors.ts';
import { checkWrapOptions, type WrapOptions } from './call-options.ts';
import { createEnforcer } from './create-enforcer.ts';
import type { Enforcer } from './enforcer.ts';
import { checkEnforcerOptions, type EnforcerOptions } from './enforcer-options.ts';
import { checkFunction } from './function-target.ts';
import { processStore } from './process-store.ts';

/** How a function of this process is put under a policy. */
export interface EnforceOptions extends WrapOptions, Omit<EnforcerOptions, 'store' | 'pool'> {
  /** Name for the policy. Default: the function's or method's own. */
  readonly tool?: string;
}

/** A function, sync or not, that now goes through the policy and therefore is asynchronous. */
export type Enforced<A extends unknown[], R> = (...args: A) => Promise<Awaited<R>>;

/**
 * Puts an asynchronous method under a policy; a standard (not experimental) decorator. One that is
 * not asynchronous does not compile: a decorator cannot change the type of a method.
 */
export type EnforceDecorator = <This, A extends unknown[], R>(
  method: (this: This, ...args: A) => R,
  context: ClassMethodDecoratorContext<This>,
) => (this: This, ...args: A) => Promise<Awaited<R>>;

/**
 * Puts a function of this process under a policy: its rules, redaction and audit hold; isolation
 * does not, because the function runs here. When the policy sets a limit that needs isolation, calls
 * reject with `ENF_ISOLATION_UNAVAILABLE` unless `trusted` waives it. At a deadline the call rejects
 * and the function may run on; `currentCall().signal` tells it to stop.
 *
 * The policy is read and the trail opened at the first call, once.
 *
 * @returns for a function: the enforced function, which rejects with the outcome's error. For options
 *   alone: a method decorator, `@enforce({ policy })`
 */
export function enforce<A extends unknown[], R>(
  fn: (...args: A) => R,
  options?: EnforceOptions,
): Enforced<A, R>;
export function enforce(options: EnforceOptions): EnforceDecorator;
export function enforce<A extends unknown[], R>(
  subject: ((...args: A) => R) | EnforceOptions,
  options: EnforceOptions = {},
): Enforced<A, R> | EnforceDecorator {
  if (typeof subject === 'function') return enforceNamed(subject, subject.name, options);
  return decoratorOf(subject);
}

function decoratorOf(options: EnforceOptions): EnforceDecorator {
  return (method, context) => {
    // What the compiler's older, experimental decorators pass is a name.
    if (typeof context !== 'object' || context.kind !== 'method') {
      const message = '`@enforce` decorates methods, as a standard decorator (not experimental)';
      throw new EnforceError('ENF_CALL_ARGUMENT', message);
    }
    return enforceNamed(method, String(context.name), options);
  };
}

function enforceNamed<This, A extends unknown[], R>(
  fn: (this: This, ...args: A) => R,
  name: string,
  options: EnforceOptions,
): (this: This, ...args: A) => Promise<Awaited<R>> {
  const { tool = name, params, trusted, context, ...rest } = options;
  const wrapOptions = Object.fromEntries(
    Object.entries({ params, trusted, context }).filter(([, value]) => value !== undefined),
  );
  checkFunction(fn);
  checkEnforcerOptions(rest);
  checkWrapOptions(wrapOptions);
  let opening: Promise<Enforcer> | undefined;
  return async function enforced(this: This, ...args: A): Promise<Awaited<R>> {
    opening ??= createEnforcer({ ...rest, store: processStore(), pool: false });
    const enforcer = await opening.catch((cause: unknown) => {
      // A policy file that is repaired later must be looked at again.
      opening = undefined;
      throw cause;
    });
    const bound = (...values: A): R => fn.apply(this, values);
    Object.defineProperty(bound, 'name', { value: fn.name });
    return enforcer.wrap(tool, bound, wrapOptions)(...args);
  };
}
