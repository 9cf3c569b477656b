import type { Paint } from './style.ts';

/** Where a frame points. 1-based; in UTF-16 code units, as problems count. */
export interface FramePlace {
  readonly line: number;
  readonly column: number;
}

const MARGIN = 4;
const LINES_BEFORE = 1;
const WIDTH_MAX = 160;
/** What a key, a plain value or a path is made of: the caret is drawn under all of it. */
const WORD = /^(?:"[^"]*"|'[^']*'|[\w.*/-]+)/;

/**
 * The line at a place, the line before it, and a caret below. Long lines are cut around
 * the place; what a terminal would obey is shown as `\u{fffd}`.
 *
 * @param lines - of the whole text
 * @returns no lines for a place outside of the text
 */
export function codeFrame(
  lines: readonly string[],
  { line, column }: FramePlace,
  { columns, paint }: { readonly columns: number; readonly paint: Paint },
): readonly string[] {
  const source = lines[line - 1];
  if (source === undefined || line < 1) return [];
  const first = Math.max(1, line - LINES_BEFORE);
  const gutter = String(line).length;
  const width = Math.min(columns, WIDTH_MAX) - gutter - 2 * MARGIN;
  const from = Math.max(0, column - Math.ceil(width / 2));
  const rows = lines.slice(first - 1, line).map((each, index) => {
    const number = String(first + index).padStart(gutter);
    return `  ${paint('faint', `${number} |`)} ${shown(each, from, width)}`.trimEnd();
  });
  const word = WORD.exec(source.slice(column - 1))?.[0] ?? '';
  const room = Math.max(1, from + width - column + 1);
  const marks = `^${'~'.repeat(Math.max(0, Math.min(word.length, room) - 1))}`;
  const blank = ' '.repeat(Math.max(0, column - 1 - from));
  return [...rows, `  ${' '.repeat(gutter)} ${paint('faint', '|')} ${blank}${paint('bad', marks)}`];
}

/** One unit of output for each unit of input, so that the caret stands where it should. */
function shown(line: string, from: number, width: number): string {
  return line
    .slice(from, from + width)
    .replaceAll('\t', ' ')
    .replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu, '\ufffd');
}
