import Table from 'cli-table3';
import type { BrowsedEntry } from '../index.ts';
import { callIdOf, timeOf } from '../index.ts';
import type { Emphasis, Paint } from './style.ts';
import { printableLine } from './terminal.ts';

/** A text of a cell: more is cut anyway, and marks without width must not pile up. */
const CELL_CHARS_MAX = 400;
const WIDE_FROM = 110;
const CALL_CHARS = 8;
const NO_LINES = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
);

interface Column {
  readonly name: string;
  readonly width: number;
  readonly cell: (row: Row) => string;
}

/** An entry as people read it. */
interface Row {
  readonly seq: string;
  readonly time: string;
  readonly type: string;
  readonly call: string;
  readonly tool: string;
  readonly result: string;
  readonly detail: string;
  /** null: as it is. */
  readonly tone: Emphasis | null;
}

/** Makes the lines of a table, in as many parts as there are; the widths never change. */
export interface EntryTable {
  /** Line of headings. */
  readonly head: () => string;
  readonly lines: (entries: readonly BrowsedEntry[]) => string;
}

/**
 * A table of entries that fits into a number of columns.
 *
 * @param columns - of the terminal; below 110 there is no date, call or detail of its own
 */
export function entryTable(columns: number, paint: Paint): EntryTable {
  const layout = columns >= WIDE_FROM ? wideLayout(columns) : narrowLayout(columns);
  const render = (rows: readonly (readonly string[])[]): string => {
    const table = new Table({
      chars: { ...NO_LINES, middle: ' ' },
      colWidths: layout.map(({ width }) => width),
      style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    });
    table.push(...rows.map((cells) => [...cells]));
    return `${table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')}\n`;
  };
  return {
    head: () => render([layout.map(({ name }) => paint('strong', name))]),
    lines: (entries) =>
      render(
        entries.map((each) => {
          const row = rowOf(each);
          return layout.map(({ name, cell }) => {
            const text = cellText(cell(row));
            return name === 'RESULT' && row.tone !== null ? paint(row.tone, text) : text;
          });
        }),
      ),
  };
}

/** UNTRUSTED: names, reasons and paths come from tools and callers. */
function cellText(text: string): string {
  return printableLine(text.slice(0, CELL_CHARS_MAX));
}

function wideLayout(columns: number): Column[] {
  const fixed: Column[] = [
    { name: 'SEQ', width: 8, cell: ({ seq }) => seq },
    { name: 'TIME', width: 24, cell: ({ time }) => time },
    { name: 'TYPE', width: 11, cell: ({ type }) => type },
    { name: 'CALL', width: CALL_CHARS, cell: ({ call }) => call },
    { name: 'TOOL', width: 20, cell: ({ tool }) => tool },
    { name: 'RESULT', width: 14, cell: ({ result }) => result },
  ];
  const used = fixed.reduce((sum, { width }) => sum + width + 1, 0);
  const width = Math.max(10, columns - used);
  return [...fixed, { name: 'DETAIL', width, cell: ({ detail }) => detail }];
}

function narrowLayout(columns: number): Column[] {
  const fixed: Column[] = [
    { name: 'SEQ', width: 7, cell: ({ seq }) => seq },
    { name: 'TIME', width: 8, cell: ({ time }) => time.slice(11, 19) },
    { name: 'TYPE', width: 8, cell: ({ type }) => type },
  ];
  const rest = Math.max(20, columns - fixed.reduce((sum, { width }) => sum + width + 1, 0) - 1);
  const toolWidth = Math.floor(rest / 2);
  return [
    ...fixed,
    { name: 'TOOL', width: toolWidth, cell: ({ tool }) => tool },
    { name: 'RESULT', width: rest - toolWidth, cell: resultWithDetail },
  ];
}

const resultWithDetail = ({ result, detail }: Row): string => `${result} ${detail}`.trim();

function rowOf({ entry, call }: BrowsedEntry): Row {
  return {
    seq: String(entry.seq),
    time: timeOf(entry),
    type: entry.type === 'enforcecore_py' ? 'call' : entry.type.replaceAll('_', ' '),
    call: callIdOf(entry)?.slice(0, CALL_CHARS) ?? '',
    tool: call?.tool ?? '',
    ...describe(entry, call),
  };
}

function describe(
  entry: BrowsedEntry['entry'],
  call: BrowsedEntry['call'],
): Pick<Row, 'result' | 'detail' | 'tone'> {
  const text = (name: string): string => textOf(entry[name]);
  switch (entry.type) {
    case 'decision':
    case 'enforcecore_py': {
      const result = call?.wouldDeny ? 'would deny' : (call?.decision ?? '');
      const tone = call?.wouldDeny ? 'warning' : call?.decision === 'denied' ? 'bad' : 'good';
      return { result, tone, detail: reasonsOf(entry) };
    }
    case 'outcome': {
      const isOk = entry['status'] === 'ok';
      return { result: text('status'), tone: isOk ? 'good' : 'bad', detail: outcomeDetail(entry) };
    }
    case 'egress': {
      const isAllowed = entry['effect'] === 'allow';
      const detail = `${text('host')}:${text('port')} ${text('reason')}`.trim();
      return { result: isAllowed ? 'allowed' : 'denied', tone: isAllowed ? 'good' : 'bad', detail };
    }
    case 'kill_switch': {
      const tone = entry['action'] === 'trip' ? 'bad' : 'warning';
      return { result: text('action'), tone, detail: `${text('reason')} ${text('actor')}`.trim() };
    }
    case 'segment':
      return { result: text('segment'), tone: null, detail: text('origin') };
    case 'retention':
      return { result: `from ${text('first_kept')}`, tone: null, detail: '' };
    case 'checkpoint_error':
      return { result: text('stage'), tone: 'bad', detail: text('message') };
    default:
      return { result: '', tone: 'warning', detail: text('torn') };
  }
}

function reasonsOf(entry: BrowsedEntry['entry']): string {
  const { reasons } = entry;
  if (!Array.isArray(reasons)) {
    const { violation_type: type, violation_reason: reason } = objectOf(entry['entry']);
    return `${textOf(type)} ${textOf(reason)}`.trim();
  }
  return reasons
    .map(objectOf)
    .map(({ code, message }) => `${textOf(code)} ${textOf(message)}`)
    .join('; ');
}

function outcomeDetail(entry: BrowsedEntry['entry']): string {
  const { wall_ms: wallMs } = objectOf(entry['usage']);
  const { tier } = objectOf(entry['isolation']);
  const time = typeof wallMs === 'number' ? `${Math.round(wallMs)} ms` : '';
  return [textOf(entry['error_code']), time, textOf(tier)].filter((part) => part !== '').join(' ');
}

/** A value that made its line too long is stored as `{ bytes, sha256 }`. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  const { bytes } = objectOf(value);
  return typeof bytes === 'number' ? `(${bytes} bytes)` : '';
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
