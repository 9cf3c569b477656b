import type { Detector } from '../finding.ts';
import { isPlaceholder, looksRandom } from './secret-value.ts';

/** Longest part between `//` and `@`. */
const USER_INFO_MAX = 512;
const SCHEME_MAX = 32;
const DATABASE_SCHEME =
  /^(?:postgres|postgis|pgsql|mysql|mariadb|mongo|redis|amqp|mssql|sqlserver|oracle|cockroach|clickhouse|snowflake|db2|jdbc|odbc|vertica|cassandra|neo4j|bolt|influx|couchbase|couchdb|memcached|nats|mqtt|kafka|hive|presto|trino|teradata|firebird|sybase|databricks|redshift|bigquery|db|sql)[a-z\d]{0,16}(?:\+[a-z\d_]{1,24})?$/i;

/**
 * A detector for passwords in URLs, `scheme://user:password@host`, and for tokens that stand there
 * alone. Only the password is reported, so that the rest of the URL stays useful. The last `@`
 * before the path ends it: passwords with `@` are often not encoded.
 *
 * @see RFC 3986 section 3.2.1
 */
export function urlPasswordDetector(categories: ReadonlySet<string>): Detector {
  return ({ text }, found) => {
    for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
      const scheme = schemeBefore(text, at);
      const from = at + 3;
      const end = scheme === '' ? -1 : userInfoEnd(text, from);
      if (end < 0) continue;
      const start = secretStart(text, from, end);
      const category = DATABASE_SCHEME.test(scheme)
        ? 'database_connection_string'
        : 'password_in_url';
      if (start >= 0 && categories.has(category)) found.push({ category, start, end });
    }
  };
}

function schemeBefore(text: string, at: number): string {
  let start = at;
  while (start > 0 && at - start < SCHEME_MAX && /[\w+.-]/.test(text[start - 1] as string))
    start -= 1;
  return text.slice(start, at);
}

/** Position of the last `@` of the authority, or -1. */
function userInfoEnd(text: string, from: number): number {
  const authority = /^[^\s/?#"'`<>\\]*/.exec(text.slice(from, from + USER_INFO_MAX))?.[0] ?? '';
  const at = authority.lastIndexOf('@');
  return at < 0 ? -1 : from + at;
}

/** Where the password starts, or a lone token; -1 when there is no secret. */
function secretStart(text: string, from: number, end: number): number {
  const colon = text.indexOf(':', from);
  const start = colon >= 0 && colon < end ? colon + 1 : from;
  const secret = text.slice(start, end);
  if (secret === '' || isTemplate(secret) || isLocalExample(text, from, end)) return -1;
  return start > from || (looksRandom(secret) && secret.length >= 16) ? start : -1;
}

function isTemplate(secret: string): boolean {
  if (/^(?:x{3,}|\.{3}|<.*|\$.*|\{.*|%\w+%|\[.*)$/i.test(secret)) return true;
  const isMask = secret.includes('*') && !/[^\W_]/.test(secret);
  return isMask || (secret.length > 12 && isPlaceholder(secret));
}

/** `user:password@localhost`: words for words, or twice the same, on a host that is nobody's. */
function isLocalExample(text: string, from: number, end: number): boolean {
  const [user, password] = text.slice(from, end).split(':');
  const host = text.slice(end, end + 16);
  if (user === password && /^@(?:localhost|127\.0\.0\.1)\b/i.test(host)) return true;
  return /^(?:user(?:name)?|admin|root|test|postgres|mysql):(?:pass(?:word)?|secret|test)@(?:localhost|127\.0\.0\.1|host(?:name)?)\b/i.test(
    text.slice(from, end + 16),
  );
}
