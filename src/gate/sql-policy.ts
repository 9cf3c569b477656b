import { sqlTokens } from './sql-tokens.ts';

/**
 * True when an argument that is SQL does more than one statement, changes the schema or the server,
 * or reaches outside the database. Ordinary queries and changes of rows are what it is for.
 */
export function isDangerousSql(text: string): boolean {
  if (OUTSIDE.some((sign) => sign.test(text))) return true;
  const tokens = sqlTokens(text, 'bare').filter(({ kind }) => kind !== 'comment');
  const end = tokens.findIndex(({ text: sign }) => sign === ';');
  const isStacked = end !== -1 && tokens.slice(end + 1).some(({ text: sign }) => sign !== ';');
  if (!isStacked) return false;
  // Several statements are refused when one of them is not a query.
  return tokens.some(({ text: word }, index) => {
    const before = tokens[index - 1]?.text;
    return (before === ';' || before === undefined) && CHANGES.has(word);
  });
}

const CHANGES = new Set([
  'drop',
  'truncate',
  'alter',
  'create',
  'grant',
  'revoke',
  'delete',
  'update',
  'insert',
  'exec',
  'execute',
  'call',
  'declare',
  'shutdown',
  'attach',
  'copy',
  'set',
  'merge',
  'replace',
  'waitfor',
]);

const OUTSIDE: readonly RegExp[] = [
  /\bxp_(?:cmdshell|regread|regwrite|dirtree|fileexist)\b/i,
  /\binto\s{1,8}(?:outfile|dumpfile)\b/i,
  /\b(?:load_file|pg_read_file|pg_sleep|benchmark|load_extension|lo_import|lo_export)\s{0,4}\(/i,
  /\bcopy\b[^;]{1,300}\b(?:to|from)\s{1,8}program\b/i,
  /\bwaitfor\s{1,8}delay\b/i,
  /\b(?:utl_http|utl_file|utl_inaddr|dbms_scheduler|dbms_pipe)\./i,
  /\bopenrowset\s{0,4}\(/i,
  /\bload\s{1,8}data\s{1,8}(?:local\s{1,8})?infile\b/i,
];
