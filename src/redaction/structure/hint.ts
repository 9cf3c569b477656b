/** Longest key that is taken for a name. */
const KEY_MAX = 64;
/** What redaction put there explains nothing: `<SSN>` is not a key for social security numbers. */
const STAND_IN = /<[A-Z\d_]{1,64}>|\[SHA256:[\da-f]{16}\]|\b[A-Z\d_]{1,64}_REDACTED\b/g;

/**
 * The words of a key, lower case: `dbPassword` and `DB_PASSWORD` are both `db password`.
 *
 * @returns empty for keys too long to be a name
 */
export function hintOf(key: string): string {
  if (key.length > KEY_MAX) return '';
  return key
    .replace(STAND_IN, ' ')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
    .toLowerCase();
}
