/** Longest key that is taken for a name. */
const KEY_MAX = 64;

/**
 * The words of a key, lower case: `dbPassword` and `DB_PASSWORD` are both `db password`.
 *
 * @returns empty for keys too long to be a name
 */
export function hintOf(key: string): string {
  if (key.length > KEY_MAX) return '';
  return key
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
    .toLowerCase();
}
