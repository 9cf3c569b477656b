import { IsolationUnavailableError } from '../errors.ts';

/** Why something cannot be enforced here, and the one thing to do about it. */
export interface Shortfall {
  /** Lower case, no full stop: what is missing or wrong. */
  readonly cause: string;
  /** One command or one change of the policy. */
  readonly remedy: string;
}

/**
 * The error of a call that this host cannot confine as asked.
 *
 * @param shortfall - goes into the message and, apart, into `details`
 */
export function isolationUnavailable(
  { cause, remedy }: Shortfall,
  error?: unknown,
): IsolationUnavailableError {
  return new IsolationUnavailableError('ENF_ISOLATION_UNAVAILABLE', `${cause}; ${remedy}`, {
    details: { cause, remedy },
    cause: error,
  });
}
