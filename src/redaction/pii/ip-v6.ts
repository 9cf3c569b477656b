import type { Finding, Source } from '../finding.ts';
import { isAlphanumeric, isDigit, isHexDigit } from '../text/characters.ts';
import { wordsBefore } from '../text/context.ts';
import { goesOnFrom } from '../text/words.ts';
import { networkSuffixLength } from './ip-v4.ts';

/** The longest textual form: eight groups with an IPv4 tail. */
const LENGTH_MAX = 45;
const ZONE_MAX = 16;
const ADDRESS_WORDS = /\bip\b|ipv6|addr|unspecified|loopback|localhost|\bhost\b/;

/**
 * Finds IPv6 addresses, with their zone and network suffix. Times, MAC addresses and code such as
 * `a::b` have the same characters: an address has eight groups or one `::`, digits, and no letter
 * or colon beside it.
 *
 * @see RFC 4291 section 2.2, RFC 4007 section 11 (zones)
 */
export function findIpV6(source: Source, found: Finding[]): void {
  const { text } = source;
  let from = 0;
  for (let colon = text.indexOf(':'); colon >= 0; colon = text.indexOf(':', from)) {
    from = colon + 1;
    if (!leadsOn(text, colon)) continue;
    const start = runStart(text, colon);
    const end = runEnd(text, colon);
    from = Math.max(from, end);
    const address = trimDots(text.slice(start, end));
    if (!isIpV6(address) || !isLikely(source, address, start)) continue;
    if (isGlued(text, start, start + address.length)) continue;
    found.push({ category: 'ip_address', start, end: withSuffix(text, start + address.length) });
  }
}

/** Another colon follows within one group: most colons of a text end here. */
function leadsOn(text: string, colon: number): boolean {
  for (let at = colon + 1; at <= colon + 5; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 58) return true;
    if (!isHexDigit(code)) return false;
  }
  return false;
}

function isRunCharacter(code: number): boolean {
  return isHexDigit(code) || code === 58;
}

function runStart(text: string, from: number): number {
  let at = from;
  while (at > 0 && from - at < LENGTH_MAX && isRunCharacter(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function runEnd(text: string, from: number): number {
  let at = from;
  const limit = Math.min(text.length, from + LENGTH_MAX);
  while (at < limit && (isRunCharacter(text.charCodeAt(at)) || isInnerDot(text, at))) at += 1;
  return at;
}

function isInnerDot(text: string, at: number): boolean {
  return (
    text.charCodeAt(at) === 46 &&
    isDigit(text.charCodeAt(at - 1)) &&
    isDigit(text.charCodeAt(at + 1))
  );
}

function trimDots(run: string): string {
  const single = run.endsWith(':') && !run.endsWith('::');
  return single ? run.slice(0, -1) : run;
}

/** Eight groups, or fewer around one `::`; the last two may be a dotted IPv4 address. */
function isIpV6(address: string): boolean {
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const tail = groups.at(-1) ?? '';
  const isMapped = tail.includes('.');
  if (isMapped && !isDottedQuad(tail)) return false;
  const hex = isMapped ? groups.slice(0, -1) : groups;
  if (!hex.every((group) => /^[\da-f]{1,4}$/i.test(group))) return false;
  const count = hex.length + (isMapped ? 2 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}

function isDottedQuad(text: string): boolean {
  const octets = text.split('.');
  return octets.length === 4 && octets.every((octet) => /^\d{1,3}$/.test(octet) && +octet <= 255);
}

/** `a::b` and the slice `1::2` are code; short addresses need a word beside them. */
function isLikely(source: Source, address: string, start: number): boolean {
  const digits = address.replace(/[:.]/g, '');
  if (address === '::1' || (/\d/.test(digits) && digits.length >= 4)) return true;
  return ADDRESS_WORDS.test(wordsBefore(source, start));
}

function isGlued(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  return goesOnFrom(text, start) || isAlphanumeric(after) || before === 58 || after === 58;
}

function withSuffix(text: string, end: number): number {
  const zone = /^%(?:25)?[\w-]{1,16}/.exec(text.slice(end, end + ZONE_MAX + 3));
  const past = end + (zone?.[0].length ?? 0);
  return past + networkSuffixLength(text, past, 128);
}
