import type { CallContext } from '../call.ts';

/** What a session did so far, as sequence rules need it. */
export interface SessionHistory {
  /** False when events had to be dropped: rules that need to know then deny. */
  readonly complete: boolean;
  /** By folded tool name. */
  readonly tools: ReadonlyMap<string, ToolHistory>;
}

/** The last times of one tool in a session, in milliseconds of the caller's clock. */
export interface ToolHistory {
  /** Calls that were allowed and have not ended. */
  readonly running: number;
  /** End of the last call that ran, however it ended. */
  readonly ranAt?: number;
  /** End of the last call that ended `ok`. */
  readonly succeededAt?: number;
}

/** A session in which nothing happened. */
export const EMPTY_HISTORY: SessionHistory = { complete: true, tools: new Map() };

/** A session of which nothing is known. */
export const INCOMPLETE_HISTORY: SessionHistory = { complete: false, tools: new Map() };

/** An allowed call on its way. Exactly one of the two takes effect, once. */
export interface SessionCall {
  /** The call was refused after all, or never ran: as if it had not been asked for. */
  refused(): void;
  ended(end: { readonly at: number; readonly ok: boolean }): void;
}

/** The sessions of one enforcer. */
export interface SessionHistories {
  of(context: CallContext): SessionHistory;

  /** Notes an allowed call, in the same tick as its decision, so that parallel calls see it. */
  begin(context: CallContext, tool: string, now: number): SessionCall;
}

const SESSIONS_MAX = 10_000;
const TOOLS_MAX = 1000;

/** A session that was silent for longer than any rule can look back is forgotten first. */
const FORGET_AFTER_MS = 31 * 24 * 3600 * 1000;

interface Session {
  complete: boolean;
  touchedAt: number;
  readonly tools: Map<string, ToolHistory>;
}

/**
 * Keeps the latest events of each (tenant, agent, session), exactly: no ring that old events fall
 * out of. Calls without a session share one per agent. UNTRUSTED: callers name sessions and tools,
 * so both are bounded; beyond the bound a history says that it is incomplete.
 *
 * @param fold - how tool names are compared, the same way as the gate does
 */
export function createSessionHistories(fold: (tool: string) => string): SessionHistories {
  const sessions = new Map<string, Session>();

  /** Until then no session will have been silent for long enough: looking again would be in vain. */
  let noneBefore = -Infinity;

  const open = (context: CallContext, now: number): Session | undefined => {
    const key = sessionKey(context);
    const known = sessions.get(key);
    if (known !== undefined) return known;
    if (sessions.size >= SESSIONS_MAX && now > noneBefore) noneBefore = forgetSilent(sessions, now);
    if (sessions.size >= SESSIONS_MAX) return undefined;
    const session: Session = { complete: true, touchedAt: now, tools: new Map() };
    sessions.set(key, session);
    return session;
  };

  return {
    of(context) {
      const session = sessions.get(sessionKey(context));
      if (session !== undefined) return session;
      return sessions.size < SESSIONS_MAX ? EMPTY_HISTORY : INCOMPLETE_HISTORY;
    },
    begin(context, tool, now) {
      const session = open(context, now);
      return session === undefined ? UNTRACKED_CALL : beginCall(session, fold(tool), now);
    },
  };
}

const UNTRACKED_CALL: SessionCall = { refused: () => {}, ended: () => {} };

function beginCall(session: Session, tool: string, now: number): SessionCall {
  session.touchedAt = now;
  const known = session.tools.get(tool) ?? { running: 0 };
  if (!session.tools.has(tool) && session.tools.size >= TOOLS_MAX) {
    session.complete = false;
    return UNTRACKED_CALL;
  }
  session.tools.set(tool, { ...known, running: known.running + 1 });
  let isOpen = true;
  const end = (event: Partial<ToolHistory>): void => {
    const current = session.tools.get(tool);
    if (!isOpen || current === undefined) return;
    isOpen = false;
    session.tools.set(tool, { ...current, ...event, running: current.running - 1 });
  };
  return {
    refused: () => end({}),
    ended({ at, ok }) {
      session.touchedAt = Math.max(session.touchedAt, at);
      end(ok ? { ranAt: at, succeededAt: at } : { ranAt: at });
    },
  };
}

/** @returns until when nothing more can be forgotten */
function forgetSilent(sessions: Map<string, Session>, now: number): number {
  let oldest = Infinity;
  for (const [key, session] of sessions) {
    if ([...session.tools.values()].some(({ running }) => running > 0)) continue;
    if (session.touchedAt < now - FORGET_AFTER_MS) sessions.delete(key);
    else oldest = Math.min(oldest, session.touchedAt);
  }
  return oldest + FORGET_AFTER_MS;
}

/** JSON keeps the parts apart whatever characters they have. */
function sessionKey({ tenant, agent, session }: CallContext): string {
  return JSON.stringify([tenant ?? null, agent ?? null, session ?? null]);
}
