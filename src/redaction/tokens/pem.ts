import type { SecretCategory } from '../categories.ts';
import type { Detector, Finding } from '../finding.ts';

/** A PEM or PGP block of a key is shorter; an RSA key of 16,384 bits has 12,700 characters. */
const PEM_MAX = 16 * 1024;
/** Fewer base64 characters than this are an example: the shortest key (Ed25519) has 64. */
const BODY_MIN = 40;

const BEGIN = /-----BEGIN ([A-Z\d ]{0,40})-----/g;
const ARMOUR_HEADER = /^[A-Z][A-Za-z-]{2,20}: /;
const NOT_BODY = /[^A-Za-z\d+/=\s\\"',:;.-]|[A-Za-z]{2} [A-Za-z]{2}/;
const MARKER = '-----BEGIN ';

/**
 * A detector for PEM and PGP blocks: private keys, OpenSSH keys and certificates. A block without
 * an end is redacted as far as it looks like one, at most 16 Ki characters.
 *
 * @see RFC 7468, RFC 9580 section 6.2
 */
export function pemDetector(categories: ReadonlySet<string>): Detector {
  return ({ text }, found) => {
    if (!text.includes(MARKER)) return;
    for (const begin of text.matchAll(BEGIN)) {
      const label = begin[1] as string;
      const category = categoryOf(label);
      if (category === null || !categories.has(category)) continue;
      const end = endOfBlock(text, begin.index + begin[0].length, label);
      if (end > 0) addBlock(found, { category, start: begin.index, end });
    }
  };
}

function categoryOf(label: string): SecretCategory | null {
  if (label.includes('OPENSSH PRIVATE KEY')) return 'ssh_private_key';
  if (label.includes('PRIVATE KEY')) return 'private_key';
  return label.endsWith('CERTIFICATE') ? 'certificate' : null;
}

/** Blocks nested in an unclosed one are part of it already. */
function addBlock(found: Finding[], block: Finding): void {
  const last = found.at(-1);
  if (last !== undefined && last.end >= block.end && last.start <= block.start) return;
  found.push(block);
}

function endOfBlock(text: string, from: number, label: string): number {
  // The first dashes after the body are its end, or the body has none.
  const dashes = text.indexOf('-----', from);
  const closing = `-----END ${label}-----`;
  const isClosed = dashes >= 0 && dashes - from <= PEM_MAX && text.startsWith(closing, dashes);
  const limit = Math.min(from + PEM_MAX, dashes < 0 ? text.length : dashes);
  const end = isClosed ? dashes : from + unclosedLength(text.slice(from, limit));
  if (bodySize(text.slice(from, end)) < BODY_MIN) return 0;
  return isClosed ? end + closing.length : end;
}

/** As far as the text goes on like base64 or armour headers: up to words of prose. */
function unclosedLength(window: string): number {
  let length = 0;
  for (const line of window.split(/(?<=\n)/)) {
    const stop = ARMOUR_HEADER.test(line) ? -1 : line.search(NOT_BODY);
    if (stop >= 0) return length + stop;
    length += line.length;
  }
  return length;
}

function bodySize(body: string): number {
  let size = 0;
  for (const run of body.matchAll(/[A-Za-z\d+/=]{16,}/g)) size += run[0].length;
  return size;
}
