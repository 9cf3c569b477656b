import type { ExportedEntry } from './entry-schema.ts';

/** What the decision about a call says about all its entries. */
export interface CallFacts {
  readonly decision: 'allowed' | 'denied';
  readonly wouldDeny: boolean;
  readonly tool: string | undefined;
  readonly agent: string | undefined;
  readonly session: string | undefined;
  readonly tenant: string | undefined;
}

/** What can be asked for. Of several values of one key any will do; every key must hold. */
export const FILTER_KEYS = [
  'agent',
  'call',
  'decision',
  'session',
  'since',
  'status',
  'tenant',
  'tool',
  'type',
  'until',
] as const;
/** What entries can be chosen by. */
export type FilterKey = (typeof FILTER_KEYS)[number];
/** For each key the values of which one must fit; keys that are not there fit all. */
export type EntryFilter = Readonly<Partial<Record<FilterKey, readonly string[]>>>;

/** Calls that are remembered between their decision and their outcome; the oldest are dropped. */
const CALLS_MAX = 10_000;

/** Knows of each entry which call it belongs to, in bounded memory. */
export class OpenCalls {
  readonly #calls = new Map<string, CallFacts>();

  /** Facts of the call of the next entry; undefined where there is none, or it was long ago. */
  next(entry: ExportedEntry): CallFacts | undefined {
    if (entry.type === 'enforcecore_py') return pythonFacts(entry);
    const id = text(entry['call_id']);
    if (id === undefined) return undefined;
    if (entry.type !== 'decision') {
      const facts = this.#calls.get(id);
      if (entry.type === 'outcome') this.#calls.delete(id);
      return facts;
    }
    const facts = decisionFacts(entry);
    // Of a denied call nothing more comes.
    if (facts.decision === 'allowed') this.#remember(id, facts);
    return facts;
  }

  #remember(id: string, facts: CallFacts): void {
    const [oldest] = this.#calls.keys();
    if (this.#calls.size >= CALLS_MAX && oldest !== undefined) this.#calls.delete(oldest);
    this.#calls.set(id, facts);
  }
}

/** True when an entry is one of those that were asked for. Times are compared as ISO 8601 text. */
export function isWanted(
  filter: EntryFilter,
  entry: ExportedEntry,
  call: CallFacts | undefined,
): boolean {
  return FILTER_KEYS.every((key) => {
    const wanted = filter[key];
    return wanted === undefined || wanted.some((value) => holds(key, value, entry, call));
  });
}

function holds(
  key: FilterKey,
  value: string,
  entry: ExportedEntry,
  call: CallFacts | undefined,
): boolean {
  switch (key) {
    case 'type':
      return entry.type === value;
    case 'status':
      return entry['status'] === value;
    case 'since':
      return timeOf(entry) >= value;
    case 'until':
      return timeOf(entry) < value;
    case 'call':
      return callIdOf(entry)?.startsWith(value) === true;
    case 'decision':
      return decisionsOf(entry, call).includes(value);
    default:
      return call?.[key] === value;
  }
}

/** A connection that was refused is denied, whatever was decided about its call. */
function decisionsOf(entry: ExportedEntry, call: CallFacts | undefined): readonly string[] {
  if (entry.type === 'egress') return [entry['effect'] === 'allow' ? 'allowed' : 'denied'];
  if (call === undefined) return [];
  return call.wouldDeny ? [call.decision, 'would-deny'] : [call.decision];
}

/** Full id of the call that an entry belongs to. */
export function callIdOf(entry: ExportedEntry): string | undefined {
  return text(entry['call_id']) ?? text(membersOf(entry['entry'])['call_id']);
}

/** UTC with milliseconds, or as a trail of the Python EnforceCore has it. */
export function timeOf(entry: ExportedEntry): string {
  return text(entry['ts']) ?? text(membersOf(entry['entry'])['timestamp']) ?? '';
}

function decisionFacts(entry: ExportedEntry): CallFacts {
  const context = membersOf(entry['context']);
  return {
    decision: entry['effect'] === 'allow' ? 'allowed' : 'denied',
    wouldDeny: entry['would_deny'] === true,
    tool: text(entry['tool']),
    agent: text(context['agent']),
    session: text(context['session']),
    tenant: text(context['tenant']),
  };
}

function pythonFacts(entry: ExportedEntry): CallFacts {
  const members = membersOf(entry['entry']);
  return {
    decision: members['decision'] === 'allowed' ? 'allowed' : 'denied',
    wouldDeny: false,
    tool: text(members['tool_name']),
    agent: undefined,
    session: undefined,
    tenant: text(members['tenant_id']),
  };
}

/** UNTRUSTED: a line that nobody verified may have anything in the place of an object. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;
