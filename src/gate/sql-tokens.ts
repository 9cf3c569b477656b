/**
 * A text as the tokens that a lenient SQL server would see. Six kinds are enough to tell a value
 * from an expression: what matters is their order, not their spelling.
 */
export interface SqlToken {
  readonly kind: 'string' | 'number' | 'word' | 'operator' | 'punctuation' | 'comment';
  /** Lower case; for strings their content is left out. */
  readonly text: string;
}

/** Where the text would stand in a statement: bare, or inside a quoted string. */
export type SqlContext = 'bare' | "'" | '"' | '`';

/** Tokens beyond these do not change a verdict. */
const TOKENS_MAX = 400;

/** Reads the tokens of a text. In a quoted context the text begins inside a string. */
export function sqlTokens(text: string, context: SqlContext): SqlToken[] {
  const tokens: SqlToken[] = [];
  let at = 0;
  if (context !== 'bare') {
    const end = endOfString(text, 0, context);
    if (end === -1) return [];
    tokens.push({ kind: 'string', text: '' });
    at = end;
  }
  while (at < text.length && tokens.length < TOKENS_MAX) {
    const next = readToken(text, at);
    if (next.token !== null) tokens.push(next.token);
    at = next.end;
  }
  return tokens;
}

function readToken(text: string, at: number): { token: SqlToken | null; end: number } {
  const char = text[at] ?? '';
  if (char === "'" || char === '"' || char === '`') {
    const end = endOfString(text, at + 1, char);
    return { token: { kind: 'string', text: '' }, end: end === -1 ? text.length : end };
  }
  for (const { kind, pattern } of TOKENS) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) continue;
    const end = at + match[0].length;
    if (kind === 'space') return { token: null, end };
    return { token: { kind, text: match[0].toLowerCase() }, end };
  }
  return { token: { kind: 'punctuation', text: char }, end: at + 1 };
}

/** A doubled quote and a backslash continue the string. */
function endOfString(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return -1;
}

const TOKENS: readonly { readonly kind: SqlToken['kind'] | 'space'; readonly pattern: RegExp }[] = [
  // MySQL executes what stands in `/*! … */`, so only its frame is skipped.
  { kind: 'space', pattern: /[\s\0+\u00a0]+|\/\*!\d{0,6}|\*\/|\/\*(?:[^*]|\*(?!\/)){0,2000}\*\//y },
  { kind: 'comment', pattern: /--(?=[\s-]|$)[^\n\r]{0,2000}|#[^\n\r]{0,2000}|\/\*|;\s{0,8}\0/y },
  { kind: 'number', pattern: /0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w$])/iy },
  { kind: 'word', pattern: /@{0,2}[\w$\u0080-\uffff]+(?:\.[\w$]+){0,4}/y },
  { kind: 'operator', pattern: /<=>|<>|!=|>=|<=|\|\||&&|:=|[=<>|&^~!*/%-]/y },
];
