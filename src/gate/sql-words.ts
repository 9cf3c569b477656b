/** The words of SQL by what they do in an expression. Lower case; operators among them. */

/** Without a quote, a comment, or a word of SQL there is no injection. */
export const SQL_SIGN: RegExp =
  /['"`;#]|--|\/\*|\b(?:union|select|insert|update|delete|drop|and|or|xor|having|order|group|procedure|exec|like|rlike|regexp|where|from|waitfor|sleep|benchmark|char|convert|cast|null|mod|div|if|case)\b|\|\||&&|@@|\b(?:ascii|substr|substring|concat|compress|uncompress|version|conv|hex|unhex|char)\s{0,2}\(/i;

/** Names that exist to be attacked with; prose and code have other names for these things. */
export const STRONG_SIGNS: readonly RegExp[] = [
  /\binformation_schema\b|\bpg_(?:sleep|catalog|user|shadow|read_file)\b|\bsys(?:objects|columns|databases|logins|users)\b|\bsys\.(?:databases|objects|tables|user\$)/i,
  /\bwaitfor\s{1,8}(?:delay|time)\b|\bbenchmark\s{0,4}\(\s{0,4}\d|\bxp_\w{3,30}|\bsp_(?:executesql|oa\w{3,20}|password|makewebtask|configure|addextendedproc)\b/i,
  /\b(?:extractvalue|updatexml|load_file|randomblob|analyse|make_set|utl_(?:inaddr|http|file)\.\w{2,30}|dbms_\w{2,20}\.\w{2,30}|ctxsys\.\w{2,30}|openrowset|opendatasource|fn_trace_gettable)\s{0,4}\(/i,
  /\binto\s{1,8}(?:outfile|dumpfile)\b|\bload\s{1,8}data\s{1,8}(?:local\s{1,8})?infile\b/i,
  /\bdeclare\s{1,8}@\w{1,64}\s{1,8}(?:n?var)?char\b|\bcast\s{0,4}\(\s{0,4}0x[0-9a-f]{4}|\bset\s{1,8}@\w{1,64}\s{0,4}=/i,
  /@@(?:version|datadir|hostname|basedir|servername|language|global|session|tmpdir|microsoftversion)/i,
  /\bunion(?:\s|\/\*|\*\/|\(|\+|%20|#|--){1,40}(?:all\b|distinct\b|select\b|\()/i,
  /\b(?:all_tab_(?:tables|columns)|all_tables|user_tables|all_users|mysql\.user|sqlite_master|v\$version|msysaccessobjects|all_tab_tables)\b/i,
  /\b(?:exec|execute)\s{1,4}(?:immediate|master\b|xp_|sp_)/i,
  /\b(?:ascii|ord|hex|unhex|char|chr|length|lower|upper|substr|substring|mid|concat|concat_ws|group_concat|ifnull|compress|uncompress|conv|aes_decrypt|aes_encrypt|md5|count|cast|convert|bin|elt|user|version|database|soundex)\s{0,2}\(\s{0,4}(?:ascii|char|substr|substring|mid|concat|concat_ws|group_concat|ifnull|compress|conv|aes_encrypt|user|version|database|select|0x[0-9a-f]{2})\b/i,
  // Catalogues of Db2, Firebird, Oracle, PostgreSQL and SQL Server.
  /\b(?:sysibm|syscat)\.\w|\brdb\$\w|\bdba_(?:users|tables)\b|\bpg_(?:database|tables|roles|ls_dir|stat_activity)\b|\bmaster\.\.\w/i,
  // A subquery as the only argument of a function: how errors are made to tell values.
  /\b\w{2,30}\s{0,2}\(\s{0,4}\(\s{0,4}select\b/i,
  /\(\s{0,4}select\s{1,8}[\w.*@]{1,32}\s{1,8}from\s{1,8}[\w.$`"]{1,64}\s{0,8}(?:,|\b(?:limit\s{1,4}\d|where\s{1,8}[\w.]{1,32}\s{0,4}[=<>]))/i,
  /\bin\s{1,4}boolean\s{1,4}mode\s{0,4}\)/i,
  /\bhaving\s{1,8}\(?\s{0,4}(?:(?:true|false)\s{1,4}(?:and|or)\b|\d{1,8}\s{0,4}[=<>]|\d{1,8}\s{1,4}(?:and|or)\s{1,4}(?:true|false)\b)/i,
  /;\s{0,8}(?:drop|truncate|alter|create)\s{1,8}(?:table|database|user|procedure|view|index|schema|login)\b/i,
  /;\s{0,8}(?:insert\s{1,8}into|delete\s{1,8}from|update\s{1,8}\w{1,64}\s{1,8}set|exec(?:ute)?\s{1,8}[\w.]{0,64}[.@_]|declare\s{1,8}@|shutdown\b|select\s|begin\s{1,8}declare)/i,
];

/** Joins conditions. */
export const LOGIC: ReadonlySet<string> = new Set(['and', 'or', 'xor', '&&', '||', 'not']);

/** Compares two operands. */
export const COMPARISON: ReadonlySet<string> = new Set([
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

/** Stands between two operands. */
export const COMBINING: ReadonlySet<string> = new Set([
  ...LOGIC,
  ...COMPARISON,
  '|',
  '^',
  '-',
  '*',
  '%',
  '!',
  '~',
  ':=',
]);

/** Between two strings and alone they are a dash, a star, or a quoted word of a sentence. */
export const WEAK: ReadonlySet<string> = new Set([
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

/** Begins a clause. */
export const CLAUSES: ReadonlySet<string> = new Set([
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

/** May follow an operand. */
export const CONTINUING: ReadonlySet<string> = new Set([
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

/** Words that are operands. */
export const VALUES: ReadonlySet<string> = new Set([
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

/** Begins a statement. */
export const STATEMENTS: ReadonlySet<string> = new Set([
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

/** Words that stand beside names in a list of columns. */
export const SELECT_WORDS: ReadonlySet<string> = new Set([
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

/** May stand before an operand. */
export const PREFIXES: ReadonlySet<string> = new Set([
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

/** Functions that an injected condition calls. */
export const CALLS: ReadonlySet<string> = new Set([
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
