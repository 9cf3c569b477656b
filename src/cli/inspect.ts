import { resolve } from 'node:path';
import {
  type BrowsedEntry,
  type BrowseOptions,
  browseTrail,
  EnforceError,
  type EntryFilter,
  TAIL_MAX,
} from '../index.ts';
import { parseFilters } from './entry-filter.ts';
import { entryLine } from './entry-line.ts';
import { entryTable } from './entry-table.ts';
import { EXIT } from './exit-code.ts';
import { type Progress, startProgress } from './progress.ts';
import { oneOf, parseCount } from './quantity.ts';
import { painter } from './style.ts';
import { oneLine, type Terminal } from './terminal.ts';

/** What the command line said. */
export interface InspectFlags {
  readonly filter?: readonly string[];
  readonly tail?: string;
  readonly limit?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly format?: string;
}

const FORMATS = ['enforcecore', 'enforcecore-py'] as const;
/** What `--follow` begins with, as `tail -f` does. */
const FOLLOW_TAIL = 10;
/** Width of a table that goes to a file or a pipe. */
const COLUMNS_DEFAULT = 120;
/** Rows that are laid out at a time. */
const PAGE_ROWS = 100;
/** Damaged lines that are named; all are counted. */
const DAMAGE_SHOWN = 10;

/** `enforcecore inspect`: entries of a trail as a table, or as JSON lines of the exported form. */
export async function inspect(
  trail: string,
  flags: InspectFlags,
  terminal: Terminal,
  clock: () => number = Date.now,
): Promise<number> {
  const limit = flags.limit === undefined ? Infinity : parseCount('--limit', flags.limit);
  const filter = parseFilters(flags.filter ?? [], clock());
  const interrupt = new AbortController();
  let exitCode: number = EXIT.ok;
  const forget = terminal.onInterrupt((signal) => {
    exitCode = EXIT[signal];
    interrupt.abort();
  });
  const damage = damageReport(terminal);
  const progress = startProgress(terminal, { label: 'inspect' });
  const entries = browseTrail(resolve(terminal.cwd, trail), {
    ...optionsOf(flags, filter, interrupt.signal),
    onDamage: damage.add,
    onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
  });
  try {
    await show(entries, { limit, flags, progress, stop: interrupt.signal }, terminal);
  } finally {
    progress.clear();
    forget();
  }
  const isDamaged = damage.report();
  return exitCode === EXIT.ok && isDamaged ? EXIT.audit : exitCode;
}

function optionsOf(
  { tail, limit, follow = false, format }: InspectFlags,
  filter: EntryFilter,
  signal: AbortSignal,
): BrowseOptions {
  if (tail !== undefined && limit !== undefined)
    throw usage('give `--tail` or `--limit`, not both');
  if (follow && format === 'enforcecore-py') throw usage('`--follow` reads our own trails only');
  const asked = follow && limit === undefined ? FOLLOW_TAIL : undefined;
  const count = tail === undefined ? asked : parseCount('--tail', tail);
  if (count !== undefined && count > TAIL_MAX) throw usage(`\`--tail\` takes at most ${TAIL_MAX}`);
  return {
    filter,
    ...(count === undefined ? {} : { tail: count }),
    ...(follow ? { follow: signal } : {}),
    ...(format === undefined ? {} : { format: oneOf('--format', format, FORMATS) }),
  };
}

interface Showing {
  readonly limit: number;
  readonly flags: InspectFlags;
  readonly progress: Progress;
  readonly stop: AbortSignal;
}

/** Ends at the limit, when the reader of stdout is gone, or when somebody asks it to. */
async function show(
  entries: AsyncIterable<BrowsedEntry>,
  { limit, flags, progress, stop }: Showing,
  terminal: Terminal,
): Promise<void> {
  const page = flags.json === true ? jsonPage(terminal) : tablePage(terminal);
  let shown = 0;
  if (limit === 0) return;
  for await (const each of entries) {
    progress.clear();
    page.add(each);
    shown += 1;
    if (shown >= limit || stop.aborted) break;
    // A trail that is followed is shown line by line.
    if (page.length >= (flags.follow === true ? 1 : PAGE_ROWS)) {
      page.flush();
      if (!(await terminal.canWrite())) return;
    }
  }
  progress.clear();
  page.flush();
}

interface Page {
  readonly length: number;
  add(entry: BrowsedEntry): void;
  flush(): void;
}

function jsonPage({ out }: Terminal): Page {
  const lines: string[] = [];
  return {
    get length() {
      return lines.length;
    },
    add: ({ entry }) => void lines.push(entryLine(entry)),
    flush: () => out(lines.splice(0).join('')),
  };
}

function tablePage(terminal: Terminal): Page {
  const columns = Number.isFinite(terminal.columns) ? terminal.columns : COLUMNS_DEFAULT;
  const table = entryTable(columns, painter(terminal, 'out'));
  const rows: BrowsedEntry[] = [];
  let hasHead = false;
  return {
    get length() {
      return rows.length;
    },
    add: (entry) => void rows.push(entry),
    flush() {
      if (rows.length === 0) return;
      if (!hasHead) terminal.out(table.head());
      hasHead = true;
      terminal.out(table.lines(rows.splice(0)));
    },
  };
}

function damageReport({ err }: Terminal): {
  readonly add: (message: string) => void;
  readonly report: () => boolean;
} {
  let count = 0;
  return {
    add(message) {
      count += 1;
      if (count <= DAMAGE_SHOWN) err(`enforcecore: ${oneLine(message)}\n`);
    },
    report() {
      if (count === 0) return false;
      const lines = count === 1 ? '1 line is' : `${count} lines are`;
      err(`enforcecore: ${lines} damaged and left out; \`enforcecore verify\` says more\n`);
      return true;
    },
  };
}

function usage(message: string): EnforceError {
  return new EnforceError('ENF_CLI_USAGE', `${message}; see \`enforcecore inspect --help\``);
}
