/**
 * The part of the protocol that brokers `fetch`: a tool without a network of its own asks, and the
 * supervisor makes the request under the rules of the policy.
 *
 *   worker ── fetch, data, pull, end, cancel ──▶ supervisor ──▶ the server
 *   worker ◀── response, data, pull, end | failed ── supervisor
 *
 * `pull` asks the other side for one more piece of a body and no piece is sent without: neither side
 * can make the other keep more than one. The supervisor ends every request exactly once, by `end` or
 * `failed`; until then it counts as open, also when it was cancelled.
 */

/** Open at once, for one call. The worker holds further ones back. */
export const FETCHES_OPEN_MAX = 32;
/** Over the whole call. The last one is refused, and recorded with that reason. */
export const FETCHES_MAX = 4096;
/** One piece of a body. In base64, with what is around it, it fits every frame. */
export const FETCH_PIECE_BYTES_MAX = 32_768;
/** One body, each way. */
export const FETCH_BODY_BYTES_MAX = 1_073_741_824;
const URL_CHARS_MAX = 8192;
const HEADERS_MAX = 128;
/** Of all names and values: what servers take, and Node gives. */
const HEADER_BYTES_MAX = 16_384;
const METHOD_CHARS_MAX = 32;

/** A request as the tool made it. */
export interface FetchRequest {
  readonly method: string;
  /** As the URL standard serialises it. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Absent: none. Without `bytes` nobody knows yet how long it gets. */
  readonly body?: { readonly bytes?: number };
}

/** What a worker says about its requests. `id` counts up from 1; `data` is base64. */
export type FetchMessage =
  | { readonly type: 'fetch'; readonly id: number; readonly request: FetchRequest }
  | { readonly type: 'fetch-data'; readonly id: number; readonly data: string }
  | { readonly type: 'fetch-pull' | 'fetch-end' | 'fetch-cancel'; readonly id: number };

/** What the supervisor answers. */
export type FetchReply =
  | {
      readonly type: 'fetch-response';
      readonly id: number;
      readonly status: number;
      readonly statusText: string;
      /** Names and values in turn, as they came; one character is one byte. */
      readonly headers: readonly string[];
    }
  | { readonly type: 'fetch-data'; readonly id: number; readonly data: string }
  | { readonly type: 'fetch-pull' | 'fetch-end'; readonly id: number }
  | {
      readonly type: 'fetch-failed';
      readonly id: number;
      /** As of a failed connection: `ECONNREFUSED`; `EACCES` where the rules refuse it. */
      readonly code: string;
      readonly message: string;
      /** Why the rules refuse it. */
      readonly reason?: string;
    };

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5: no control characters, so no line ends. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const FORBIDDEN_METHODS = ['CONNECT', 'TRACE', 'TRACK'];
/** About the connection or the length of the body, which are the supervisor's to say. */
const FORBIDDEN_HEADERS = new Set([
  ...['host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['content-length', 'expect', 'http2-settings'],
]);

/**
 * What keeps a request from being made, null when nothing does. Asked by the worker, so that a tool
 * gets an error it understands, and by the supervisor, which believes nobody.
 */
export function findRequestProblem({ method, url, headers, body }: FetchRequest): string | null {
  if (!TOKEN.test(method) || method.length > METHOD_CHARS_MAX) return 'a method that is no token';
  const upperMethod = method.toUpperCase();
  if (FORBIDDEN_METHODS.includes(upperMethod)) return `the method ${upperMethod}`;
  // RFC 9110 section 9.3.1: servers disagree on what it means, which is how requests are smuggled.
  if (body !== undefined && ['GET', 'HEAD'].includes(upperMethod))
    return `${upperMethod} with a body`;
  return findUrlProblem(url) ?? findHeaderProblem(headers) ?? findLengthProblem(body?.bytes ?? 0);
}

function findUrlProblem(text: string): string | null {
  if (text.length > URL_CHARS_MAX) return `a URL of more than ${URL_CHARS_MAX} characters`;
  if (!URL.canParse(text)) return 'no URL';
  const url = new URL(text);
  if (!['http:', 'https:'].includes(url.protocol)) return 'a URL that is neither http nor https';
  if (url.username !== '' || url.password !== '') return 'a URL with credentials';
  // What is judged must be what is asked for, whoever parses it.
  return url.href === text && url.hash === '' ? null : 'a URL that is not in its canonical form';
}

function findHeaderProblem(headers: FetchRequest['headers']): string | null {
  if (headers.length > HEADERS_MAX) return `more than ${HEADERS_MAX} headers`;
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += name.length + value.length;
    if (bytes > HEADER_BYTES_MAX) return `more than ${HEADER_BYTES_MAX} bytes of headers`;
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return 'a malformed header';
    const lowerName = name.toLowerCase();
    if (FORBIDDEN_HEADERS.has(lowerName) || lowerName.startsWith('proxy-'))
      return `the header \`${lowerName}\``;
  }
  return null;
}

function findLengthProblem(bytes: number): string | null {
  const isLength = Number.isInteger(bytes) && bytes >= 0 && bytes <= FETCH_BODY_BYTES_MAX;
  return isLength ? null : `a body that is longer than ${FETCH_BODY_BYTES_MAX} bytes`;
}
