import { type SqlContext, type SqlToken, sqlTokens } from './sql-tokens.ts';
import {
  CALLS,
  CLAUSES,
  COMBINING,
  COMPARISON,
  CONTINUING,
  LOGIC,
  PREFIXES,
  SELECT_WORDS,
  SQL_SIGN,
  STATEMENTS,
  STRONG_SIGNS,
  VALUES,
  WEAK,
} from './sql-words.ts';

/**
 * True when a text that should be a value is SQL: read bare, or as if it stood inside a quoted
 * string. A sentence with quotes and an `and` is not SQL; an operator with operands on both sides
 * after a closing quote is.
 */
export function hasSqlInjection(text: string): boolean {
  if (!SQL_SIGN.test(text)) return false;
  if (STRONG_SIGNS.some((sign) => sign.test(text))) return true;
  return CONTEXTS.some((context) => {
    if (context !== 'bare' && !text.includes(context)) return false;
    const tokens = sqlTokens(text, context);
    return context === 'bare' ? isBareSql(tokens) : breaksOut(tokens);
  });
}

const CONTEXTS: readonly SqlContext[] = ['bare', "'", '"', '`'];

/** The text closes the string it stands in and goes on as SQL. */
function breaksOut(tokens: readonly SqlToken[]): boolean {
  let at = 1;
  while (isClosing(tokens[at])) at += 1;
  const next = tokens[at];
  if (next === undefined) return at > 1 && tokens.length <= 4;
  if (next.kind === 'comment') return isBareComment(next) && tokens[at + 1] === undefined;
  if (next.text === ';') return isStatement(tokens, at + 1) || tokens[at + 1]?.kind === 'comment';
  if (next.kind === 'string') return false;
  if (CLAUSES.has(next.text)) return isClause(tokens, at);
  if (!COMBINING.has(next.text)) return false;
  return continuesExpression(tokens, at, next.text);
}

/** An operator after a closed string, and something that can be its operand. */
function continuesExpression(tokens: readonly SqlToken[], at: number, operator: string): boolean {
  const operand = skipPrefixes(tokens, at + 1);
  if (!isOperand(tokens, operand)) return false;
  const rest = afterOperand(tokens, operand);
  // Two operands in a row are words of a sentence, not SQL.
  if (
    rest !== undefined &&
    ['word', 'string', 'number'].includes(rest.kind) &&
    !CONTINUING.has(rest.text)
  )
    return false;
  const isAlone = rest === undefined && tokens[operand]?.kind === 'string';
  if (isAlone && operand === at + 1) return !WEAK.has(operator) && !LOGIC.has(operator);
  return true;
}

/** `--` and `#` with nothing after them: a sentence goes on. */
function isBareComment({ text }: SqlToken): boolean {
  return /^(?:--[\s-]*|#\s*|\/\*|;\s*\0)$/.test(text);
}

/** The text is an expression, a condition or a statement by itself. */
function isBareSql(tokens: readonly SqlToken[]): boolean {
  return isStatementText(tokens) || continuesNumber(tokens) || hasCondition(tokens);
}

/** `1 or 1=1`, `-1 order by 3`, `AND SLEEP(5)`, `1)) or …`, `1;drop …`: after a value, or first. */
function continuesNumber(tokens: readonly SqlToken[]): boolean {
  let at = 0;
  while (tokens[at] !== undefined && isValueStart(tokens, at)) at += 1;
  const next = tokens[at];
  if (next === undefined || at > 12) return false;
  const hasValue = at > 0;
  if (LOGIC.has(next.text)) {
    const operand = skipPrefixes(tokens, at + 1);
    if (isCall(tokens, operand)) return true;
    const comparison = indexAfterOperand(tokens, operand);
    return (
      isOperand(tokens, operand) &&
      COMPARISON.has(tokens[comparison]?.text ?? '') &&
      isOperand(tokens, skipPrefixes(tokens, comparison + 1))
    );
  }
  if (next.text === ';') return hasValue && isStatement(tokens, at + 1);
  if (next.kind === 'comment')
    return hasValue && tokens.slice(0, at).some(({ text }) => text === ')');
  if (next.text === 'order' || next.text === 'group')
    return tokens[at + 1]?.text === 'by' && isClause(tokens, at);
  if (next.text === 'procedure' || next.text === 'having') return isClause(tokens, at);
  return (
    COMPARISON.has(next.text) &&
    hasValue &&
    isCall(tokens, at + 1) &&
    tokens[at + 2]?.text === '(' &&
    tokens[at + 3]?.text === 'select'
  );
}

/** Somewhere: logic, a value, a comparison, a value. Names alone are prose, `==` is code. */
function hasCondition(tokens: readonly SqlToken[]): boolean {
  return tokens.some(({ text }, index) => {
    if (!LOGIC.has(text)) return false;
    const at = skipPrefixes(tokens, index + 1);
    const [left, compare] = [tokens[at], indexAfterOperand(tokens, at)];
    const comparison = tokens[compare]?.text ?? '';
    if (left === undefined || tokens[compare + 1]?.text === '=') return false;
    const right = skipParentheses(tokens, compare + 1);
    const isCallLeft = left.kind === 'word' && tokens[at + 1]?.text === '(';
    const isPlainLeft = left.kind === 'number' || left.kind === 'string';
    const isPlainRight = ['number', 'string'].includes(tokens[right]?.kind ?? '');
    const isCallRight = tokens[right]?.kind === 'word' && tokens[right + 1]?.text === '(';
    if (comparison === '=') return (isPlainLeft || isCallLeft) && (isPlainRight || isCallRight);
    return (
      isPlainLeft && isPlainRight && ['<', '>', '<>', 'like', 'rlike', '<=>'].includes(comparison)
    );
  });
}

function skipParentheses(tokens: readonly SqlToken[], from: number): number {
  let at = from;
  while (tokens[at]?.text === '(' || tokens[at]?.text === '-') at += 1;
  return at;
}

/** A whole statement: `select`, and between it and `from` expressions instead of a sentence. */
function isStatementText(tokens: readonly SqlToken[]): boolean {
  const start = tokens.findIndex(({ text }) => text !== '(' && text !== ')');
  const first = tokens[start]?.text;
  if (first === 'insert')
    return (
      tokens[start + 1]?.text === 'into' &&
      tokens.some(({ text }) => text === 'values' || text === 'select')
    );
  if (first === 'delete')
    return tokens[start + 1]?.text === 'from' && tokens.some(({ text }) => text === 'where');
  if (first === 'drop' || first === 'truncate')
    return tokens[start + 1]?.text === 'table' && isEnd(tokens.slice(start + 3));
  const select = tokens.findIndex(({ text }) => text === 'select');
  if (select === -1) return false;
  const from = tokens.findIndex(({ text }, index) => index > select && text === 'from');
  const list = tokens.slice(select + 1, from === -1 ? undefined : from);
  const isExpression = list.length > 0 && isSelectList(list);
  if (from === -1) return isExpression && list.some(isSqlOnly) && list.length <= 40;
  return isExpression && (list.some(isSqlOnly) || hasSqlTail(tokens.slice(from + 1)));
}

/** Nothing, or what may follow the name of a table; a sentence goes on with other words. */
function isEnd(rest: readonly SqlToken[]): boolean {
  return rest.every(
    ({ kind, text }) => kind === 'comment' || [';', 'cascade', 'exists'].includes(text),
  );
}

/** No two plain words in a row, except around `as`, `distinct` and the like. */
function isSelectList(list: readonly SqlToken[]): boolean {
  const plain = list.filter(({ text }) => !SELECT_WORDS.has(text) && !LOGIC.has(text));
  return plain.every((token, index) => token.kind !== 'word' || plain[index + 1]?.kind !== 'word');
}

function isSqlOnly({ kind, text }: SqlToken): boolean {
  return (
    kind === 'number' || kind === 'string' || ['*', '(', ','].includes(text) || text.includes('.')
  );
}

function hasSqlTail(tail: readonly SqlToken[]): boolean {
  const where = tail.findIndex(({ text }) => text === 'where');
  return (
    (where !== -1 && where <= 4 && COMPARISON.has(tail[where + 2]?.text ?? '')) ||
    tail.some(({ kind }) => kind === 'comment')
  );
}

function isClosing(token: SqlToken | undefined): boolean {
  return token?.text === ')' || token?.text === ']';
}

/** A statement word and what it needs: `exec will create` is English. */
function isStatement(tokens: readonly SqlToken[], at: number): boolean {
  const [word, next] = [tokens[at]?.text ?? '', tokens[at + 1]];
  if (!STATEMENTS.has(word) || next === undefined) return word === 'shutdown';
  if (word === 'exec' || word === 'execute') return /[._@]|^immediate$/.test(next.text);
  return true;
}

function isClause(tokens: readonly SqlToken[], at: number): boolean {
  const [clause, next] = [tokens[at]?.text, tokens[at + 1]];
  if (next === undefined) return false;
  if (clause === 'order' || clause === 'group') {
    return next.text === 'by' && isOperand(tokens, at + 2);
  }
  if (clause === 'union') return ['all', 'select', '(', 'distinct'].includes(next.text);
  if (clause === 'into') return next.text === 'outfile' || next.text === 'dumpfile';
  if (clause === 'procedure') return next.text === 'analyse' || tokens[at + 2]?.text === '(';
  if (clause === 'as' || clause === 'from' || clause === 'for') return false;
  if (clause === 'limit' || clause === 'offset') return next.kind === 'number';
  return isOperand(tokens, at + 1) && COMPARISON.has(afterOperand(tokens, at + 1)?.text ?? '');
}

/** Signs, parentheses, `not` and the like before an operand; also further operators: `!~-'1`. */
function skipPrefixes(tokens: readonly SqlToken[], from: number): number {
  let at = from;
  while (at < tokens.length && PREFIXES.has(tokens[at]?.text ?? '')) at += 1;
  return at;
}

function isOperand(tokens: readonly SqlToken[], at: number): boolean {
  const token = tokens[at];
  if (token === undefined)
    return PREFIXES.has(tokens[at - 1]?.text ?? '') && tokens[at - 1]?.text === 'null';
  if (token.kind === 'number' || token.kind === 'string') return true;
  if (token.kind !== 'word') return false;
  if (VALUES.has(token.text) || token.text.startsWith('@')) return true;
  const next = tokens[at + 1];
  return next === undefined
    ? false
    : next.text === '(' ||
        COMPARISON.has(next.text) ||
        next.kind === 'comment' ||
        next.text === ';';
}

function isCall(tokens: readonly SqlToken[], at: number): boolean {
  if (tokens[at]?.text === '(') return true;
  return (
    tokens[at]?.kind === 'word' && tokens[at + 1]?.text === '(' && CALLS.has(tokens[at]?.text ?? '')
  );
}

function afterOperand(tokens: readonly SqlToken[], at: number): SqlToken | undefined {
  return tokens[indexAfterOperand(tokens, at)];
}

/** Past an operand, the arguments of a call, and closing parentheses. */
function indexAfterOperand(tokens: readonly SqlToken[], at: number): number {
  let next = at + 1;
  if (tokens[next]?.text === '(') {
    let depth = 0;
    do {
      if (tokens[next]?.text === '(') depth += 1;
      if (tokens[next]?.text === ')') depth -= 1;
      next += 1;
    } while (depth > 0 && next < tokens.length);
  }
  while (isClosing(tokens[next])) next += 1;
  return next;
}

/** A value, or what wraps one: numbers, short names, parentheses and signs. */
function isValueStart(tokens: readonly SqlToken[], at: number): boolean {
  const token = tokens[at];
  if (token === undefined) return false;
  if (token.kind === 'number' || token.kind === 'string') return true;
  if (['(', ')', '-', '+', '~', '.', ',', ']', '"', "'"].includes(token.text)) return true;
  // One name only: two in a row are a sentence.
  return (
    token.kind === 'word' &&
    at === 0 &&
    !LOGIC.has(token.text) &&
    !STATEMENTS.has(token.text) &&
    !CLAUSES.has(token.text)
  );
}
