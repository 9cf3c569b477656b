import { type SqlContext, type SqlToken, sqlTokens } from './sql-tokens.ts';

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

/** Without a quote, a comment, or a word of SQL there is no injection. */
const SQL_SIGN =
  /['"`;#]|--|\/\*|\b(?:union|select|insert|update|delete|drop|and|or|xor|having|order|group|procedure|exec|like|rlike|regexp|where|from|waitfor|sleep|benchmark|char|convert|cast|null|mod|div|if|case)\b|\|\||&&|@@|\b(?:ascii|substr|substring|concat|compress|uncompress|version|conv|hex|unhex|char)\s{0,2}\(/i;

const CONTEXTS: readonly SqlContext[] = ['bare', "'", '"', '`'];

/** Names that exist to be attacked with; prose and code have other names for these things. */
const STRONG_SIGNS: readonly RegExp[] = [
  /\binformation_schema\b|\bpg_(?:sleep|catalog|user|shadow|read_file)\b|\bsys(?:objects|columns|databases|logins|users)\b|\bsys\.(?:databases|objects|tables|user\$)/i,
  /\bwaitfor\s{1,8}(?:delay|time)\b|\bbenchmark\s{0,4}\(\s{0,4}\d|\bxp_\w{3,30}|\bsp_(?:executesql|oa\w{3,20}|password|makewebtask|configure|addextendedproc)\b/i,
  /\b(?:extractvalue|updatexml|load_file|randomblob|analyse|make_set|utl_(?:inaddr|http|file)\.\w{2,30}|dbms_\w{2,20}\.\w{2,30}|ctxsys\.\w{2,30}|openrowset|opendatasource|fn_trace_gettable)\s{0,4}\(/i,
  /\binto\s{1,8}(?:outfile|dumpfile)\b|\bload\s{1,8}data\s{1,8}(?:local\s{1,8})?infile\b/i,
  /\bdeclare\s{1,8}@\w{1,64}\s{1,8}(?:n?var)?char\b|\bcast\s{0,4}\(\s{0,4}0x[0-9a-f]{4}|\bset\s{1,8}@\w{1,64}\s{0,4}=/i,
  /@@(?:version|datadir|hostname|basedir|servername|language|global|session|tmpdir|microsoftversion)/i,
  /\bunion(?:\s|\/\*|\(|\+|%20|#|--){1,40}(?:all\b|distinct\b|select\b|\()/i,
  /\b(?:all_tab_(?:tables|columns)|all_tables|user_tables|all_users|mysql\.user|sqlite_master|v\$version|msysaccessobjects|all_tab_tables)\b/i,
  /\b(?:exec|execute)\s{1,4}(?:immediate|master\b|xp_|sp_)/i,
  /\b(?:ascii|ord|hex|unhex|char|chr|length|lower|upper|substr|substring|mid|concat|concat_ws|group_concat|ifnull|compress|uncompress|conv|aes_decrypt|aes_encrypt|md5|count|cast|convert|bin|elt|user|version|database|soundex)\s{0,2}\(\s{0,4}(?:ascii|char|substr|substring|mid|concat|concat_ws|group_concat|ifnull|compress|conv|aes_encrypt|user|version|database|select|0x[0-9a-f]{2})\b/i,
  /;\s{0,8}(?:drop|truncate|alter|create)\s{1,8}(?:table|database|user|procedure|view|index|schema|login)\b/i,
  /;\s{0,8}(?:insert\s{1,8}into|delete\s{1,8}from|update\s{1,8}\w{1,64}\s{1,8}set|exec(?:ute)?\s{1,8}[\w.]{0,64}[.@_]|declare\s{1,8}@|shutdown\b|select\s|begin\s{1,8}declare)/i,
];

const LOGIC = new Set(['and', 'or', 'xor', '&&', '||', 'not']);
const COMPARISON = new Set([
  '=',
  '<',
  '>',
  '<=',
  '>=',
  '<>',
  '!=',
  '<=>',
  'like',
  'rlike',
  'regexp',
  'ilike',
  'glob',
  'in',
  'is',
  'between',
  'sounds',
  'similar',
  'div',
  'mod',
]);
const COMBINING = new Set([...LOGIC, ...COMPARISON, '|', '^', '-', '*', '%', '!', '~', ':=']);
/** Between two strings and alone they are a dash, a star, or a quoted word of a sentence. */
const WEAK = new Set([
  '-',
  '*',
  '%',
  '!',
  '~',
  '^',
  '|',
  'is',
  'in',
  'like',
  'mod',
  'div',
  'between',
  'not',
  'sounds',
  'similar',
]);
const CLAUSES = new Set([
  'union',
  'having',
  'order',
  'group',
  'limit',
  'procedure',
  'into',
  'where',
  'offset',
  'intersect',
  'except',
  'minus',
  'for',
  'collate',
  'as',
  'from',
]);
const CONTINUING = new Set([
  ...COMBINING,
  ...CLAUSES,
  'when',
  'then',
  'end',
  'else',
  'escape',
  'asc',
  'desc',
]);
const VALUES = new Set([
  'null',
  'true',
  'false',
  'select',
  'not',
  'exists',
  'case',
  'binary',
  'user',
  'current_user',
  'localtime',
  'current_timestamp',
  'cast',
  'if',
]);
const STATEMENTS = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'drop',
  'exec',
  'execute',
  'create',
  'alter',
  'truncate',
  'declare',
  'shutdown',
  'waitfor',
  'set',
  'if',
  'begin',
  'merge',
  'grant',
]);

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

const SELECT_WORDS = new Set([
  'distinct',
  'all',
  'as',
  'top',
  'case',
  'when',
  'then',
  'else',
  'end',
  'binary',
  'like',
  'is',
  'in',
  'null',
]);

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

const PREFIXES = new Set([
  '(',
  '-',
  '~',
  '!',
  'not',
  'binary',
  '@',
  '%',
  '*',
  '&',
  '|',
  '=',
  '<',
  '>',
  'like',
  'in',
  'null',
]);

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

const CALLS = new Set([
  'sleep',
  'if',
  'exists',
  'ascii',
  'substr',
  'substring',
  'char',
  'length',
  'benchmark',
  'pg_sleep',
  'count',
  'cast',
  'convert',
  'mid',
  'ord',
  'hex',
  'updatexml',
  'extractvalue',
  'row',
  'elt',
  'make_set',
  'ifnull',
  'user',
  'version',
  'database',
  'like',
  'md5',
  'select',
  'true',
  'floor',
  'rand',
  'in',
  'any',
]);

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
