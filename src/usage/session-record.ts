import { z } from 'zod';
import type { SessionHistory, ToolHistory } from './session-history.ts';
import type { SessionEnd, SessionEntry } from './session-store.ts';
import { START_OF_TIME, type StoreTime } from './shared-clock.ts';

/** Names of tools that a record holds; beyond, it says that it is incomplete. */
const TOOLS_MAX = 1000;
const RUNNING_MAX = 10_000;

/** The history of one session as it is kept in a file. */
export interface SessionRecord {
  /** The whole name of the session; the file is named by its hash. */
  readonly session: string;
  /** True until it is written for the first time. */
  readonly isNew: boolean;
  time: StoreTime;
  complete: boolean;
  readonly tools: Map<string, ToolEnds>;
  /** By call id. */
  readonly running: Map<string, RunningCall>;
}

type ToolEnds = Omit<ToolHistory, 'running'>;

interface RunningCall {
  readonly tool: string;
  /** As `processName` gives it. */
  readonly owner: string;
}

const at = z.number().min(0);
const recordSchema = z.strictObject({
  version: z.literal(1),
  session: z.string(),
  time: z.strictObject({ now: at, steadyMs: at, boot: z.string().nullable() }),
  complete: z.boolean(),
  tools: z.array(
    z.tuple([
      z.string(),
      z.strictObject({ ranAt: at.exactOptional(), succeededAt: at.exactOptional() }),
    ]),
  ),
  running: z.array(z.tuple([z.string(), z.strictObject({ tool: z.string(), owner: z.string() })])),
});

/** A session in which nothing happened. */
export function emptyRecord(session: string): SessionRecord {
  const nothing = { tools: new Map(), running: new Map() };
  return { session, isNew: true, time: START_OF_TIME, complete: true, ...nothing };
}

/**
 * Reads what {@link formatRecord} wrote for this session.
 *
 * @throws {SyntaxError | z.ZodError | TypeError} for anything else: what cannot be read denies
 */
export function parseRecord(text: string, session: string): SessionRecord {
  const { version: _, tools, running, ...rest } = recordSchema.parse(JSON.parse(text));
  if (rest.session !== session) throw new TypeError('the record is of another session');
  return { ...rest, isNew: false, tools: new Map(tools), running: new Map(running) };
}

/** The text of a record, readable by {@link parseRecord}. */
export function formatRecord({ isNew: _, tools, running, ...rest }: SessionRecord): string {
  return JSON.stringify({ version: 1, ...rest, tools: [...tools], running: [...running] });
}

/** The record as rules see it. */
export function historyOf({ complete, tools, running }: SessionRecord): SessionHistory {
  const history = new Map<string, ToolHistory>();
  for (const [tool, ends] of tools) history.set(tool, { running: 0, ...ends });
  for (const { tool } of running.values()) {
    const known = history.get(tool) ?? { running: 0 };
    history.set(tool, { ...known, running: known.running + 1 });
  }
  return { complete, tools: history };
}

/** Notes a call that was allowed. */
export function noteCall(
  record: SessionRecord,
  { callId, tool }: Pick<SessionEntry, 'callId' | 'tool'>,
  owner: string,
): void {
  const isNew = !record.tools.has(tool);
  if ((isNew && record.tools.size >= TOOLS_MAX) || record.running.size >= RUNNING_MAX) {
    record.complete = false;
    return;
  }
  if (isNew) record.tools.set(tool, {});
  record.running.set(callId, { tool, owner });
}

/** Notes how a call ended, now; calls that are not noted as running are ignored. */
export function noteEnd(record: SessionRecord, callId: string, end: SessionEnd): void {
  const call = record.running.get(callId);
  if (call === undefined) return;
  record.running.delete(callId);
  if (end === 'refused') return;
  const ranAt = record.time.now;
  const ends = record.tools.get(call.tool);
  record.tools.set(call.tool, { ...ends, ranAt, ...(end === 'ok' ? { succeededAt: ranAt } : {}) });
}

/**
 * A process that died cannot end its calls: their tools may have run, and did not end well.
 *
 * @returns true when there was one
 */
export function endDeadCalls(record: SessionRecord, isAlive: (owner: string) => boolean): boolean {
  const owners = new Set([...record.running.values()].map(({ owner }) => owner));
  const dead = new Set([...owners].filter((owner) => !isAlive(owner)));
  for (const [callId, { owner }] of record.running) {
    if (dead.has(owner)) noteEnd(record, callId, 'failed');
  }
  return dead.size > 0;
}
