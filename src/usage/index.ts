export { fileStore } from './file-store.ts';
export type {
  KillSwitch,
  KillSwitchChange,
  KillSwitchOptions,
  KillSwitchState,
} from './kill-switch.ts';
export { createKillSwitch } from './kill-switch.ts';
export type {
  BudgetCrossing,
  Grant,
  GrantAnswer,
  GrantIds,
  Ledger,
  LedgerOptions,
} from './ledger.ts';
export { createLedger } from './ledger.ts';
export { memoryStore } from './memory-store.ts';
export type {
  Admission,
  BudgetReservation,
  Refusal,
  Reservation,
  SlotReservation,
  WindowReservation,
} from './reservation.ts';
export type {
  SessionCall,
  SessionHistories,
  SessionHistory,
  ToolHistory,
} from './session-history.ts';
export { createSessionHistories, EMPTY_HISTORY, INCOMPLETE_HISTORY } from './session-history.ts';
export type { SessionEnd, SessionEntry, SessionJudge, SessionStore } from './session-store.ts';
export type { BudgetAccount, ReserveRequest, StateStore } from './state-store.ts';
