import type { Logger } from 'pino';
import type { AuditTrail } from '../audit/index.ts';
import type { CompiledPolicy, ToolRules } from '../gate/index.ts';
import type { Runner, TierShortfall } from '../isolation/index.ts';
import type { Redactor } from '../redaction/index.ts';
import type { KillSwitch, Ledger, SessionStore } from '../usage/index.ts';
import type { Request, Surroundings } from './identify.ts';
import type { CallLimits } from './tighten.ts';

/** What all calls of an enforcer share. */
export interface EnforcementParts {
  /** One version of the policy for a whole call: a reload replaces the object. */
  readonly compiled: CompiledPolicy;
  readonly redactorFor: (rules: ToolRules) => Redactor;
  /** Finds every kind of secret, whatever the policy redacts. */
  readonly secretFinder: Redactor;
  readonly sessions: SessionStore;
  readonly ledger: Ledger;
  readonly killSwitch: KillSwitch;
  /** null: audit is switched off. */
  readonly trail: AuditTrail | null;
  readonly surroundings: Surroundings;
  readonly logger: Logger;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
}

/** One call, and what is its own. */
export interface CallRequest extends Request {
  /** Those that work on this host; or the one for functions of this process. */
  readonly runners: readonly Runner[];
  /** Why other tiers do not work here. */
  readonly shortfalls: readonly TierShortfall[];
  readonly limits: CallLimits;
  /** Aborted with a StopReason by the kill switch, a closing enforcer or the caller. */
  readonly stop: AbortSignal;
  readonly onLog?: (message: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
}
