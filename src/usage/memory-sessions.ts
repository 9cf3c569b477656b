import { createSessionHistories, type SessionCall } from './session-history.ts';
import type { SessionStore } from './session-store.ts';

/** Histories in this process's memory. Every step runs within one tick, so it is atomic. */
export function memorySessions(): SessionStore {
  const histories = createSessionHistories((tool) => tool);
  const calls = new Map<string, SessionCall>();
  return {
    enterSession: async ({ session, tool, callId, now }, judge) => {
      const verdict = judge(histories.of({ session }), now);
      if (verdict.effect === 'allow') {
        calls.set(callId, histories.begin({ session }, tool, now));
      }
      return verdict;
    },
    leaveSession: async (callId, end, now) => {
      const call = calls.get(callId);
      calls.delete(callId);
      if (end === 'refused') call?.refused();
      else call?.ended({ at: now, ok: end === 'ok' });
    },
  };
}
