/** Never narrower: less would be one word on each line. */
const WIDTH_MIN = 24;

/**
 * Breaks a text at spaces so that it fits beside an indent. A word that is too long is not broken:
 * paths and digests are to be copied.
 *
 * @param columns - of the terminal; Infinity does not break at all
 * @returns lines, all but the first with the indent in front
 */
export function hanging(text: string, indent: number, columns: number): string {
  const width = Math.max(WIDTH_MIN, columns - indent);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}

/** In characters. */
export interface PairLayout {
  readonly indent?: number;
  readonly columns?: number;
  /** Of the first cells; longer ones push the second to the right. */
  readonly widthMax?: number;
}

/** Rows of two cells as lines, the first cells padded to one width of at most `widthMax`. */
export function pairs(
  rows: readonly (readonly [string, string])[],
  { indent = 0, columns = Infinity, widthMax = 40 }: PairLayout = {},
): string {
  const widest = Math.max(0, ...rows.map(([first]) => first.length));
  const width = Math.min(widest, widthMax);
  const margin = ' '.repeat(indent);
  return rows
    .map(([first, second]) =>
      `${margin}${first.padEnd(width)}  ${hanging(second, indent + width + 2, columns)}`.trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** `1,204`: the same in every locale, so that scripts may rely on it. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
