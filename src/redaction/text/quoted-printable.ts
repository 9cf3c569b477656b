import { type View, ViewBuilder } from './view.ts';

/** A byte, or a line break that is none. */
const QUOTED = /=(?:[\dA-F]{2}|\r?\n)/g;

/**
 * A text as a mail program shows it: `ann=40example.com`, and long lines that go on after a `=`.
 * A view of its own, because `a=40` in a query is no `@`: nothing else is decoded in it. Bytes
 * beyond ASCII are left as they are; no address or number has them.
 *
 * @returns null when nothing is quoted
 * @see RFC 2045 section 6.7
 */
export function unquotePrintable(text: string): View | null {
  const builder = new ViewBuilder(text.length);
  let from = 0;
  for (const { index, 0: quoted } of text.matchAll(QUOTED)) {
    const byte = Number.parseInt(quoted.slice(1), 16);
    if (byte > 127) continue;
    builder.copy(text, from, index);
    from = index + quoted.length;
    if (!Number.isNaN(byte)) builder.unit(byte, index, from);
  }
  if (from === 0) return null;
  builder.copy(text, from, text.length);
  return builder.build(null);
}
