import ipaddr from 'ipaddr.js';
import { parse } from 'tldts';
import type { ArgumentKind } from '../policy/index.ts';
import { decodedForms } from './decoded-forms.ts';

/** Where a text would make a program connect to. */
export interface FoundHosts {
  /** Lower-case ASCII without a trailing dot; IP addresses in their normal form. */
  readonly hosts: ReadonlySet<string>;
  /** An address is there and cannot be read: nobody knows what a lenient program makes of it. */
  readonly isUnreadable: boolean;
}

/** Longest address that is read; the host stands at its beginning. */
const ADDRESS_MAX = 2048;

/** Addresses in one text; beyond, the rest is refused. */
const ADDRESSES_MAX = 500;

/**
 * The hosts that a text names: URLs of any scheme, `//host`, UNC paths, `user@host:path`,
 * `host:port`, and, where an address is expected or nothing else is said, a bare host.
 *
 * @see https://url.spec.whatwg.org for how a URL's host is read
 */
export function findHosts(text: string, kind: ArgumentKind): FoundHosts {
  const finder = new HostFinder();
  for (const form of decodedForms(text)) finder.search(form, kind);
  return finder;
}

class HostFinder implements FoundHosts {
  readonly hosts: Set<string> = new Set();
  isUnreadable = false;
  #addresses = 0;

  search(text: string, kind: ArgumentKind): void {
    // What browsers remove from a URL, and what looks like nothing to a reader.
    const tight = /[\t\n\r]/.test(text) ? text.replace(/[\t\n\r]+/g, '') : text;
    for (const form of new Set([text, tight])) {
      if (form.includes(':')) this.#searchSchemes(form);
      if (form.includes('@')) this.#searchUserAtHost(form);
      if (form.includes(':')) this.#searchHostAndPort(form, kind);
    }
    this.#searchWhole(text.trim(), kind);
  }

  /** `https://…`, also with back or missing slashes where a special scheme allows them. */
  #searchSchemes(text: string): void {
    for (const match of text.matchAll(SCHEME)) {
      if (this.#isTooMany()) return;
      const scheme = (match[1] ?? '').toLowerCase();
      const rest = text.slice(match.index + match[0].length, match.index + ADDRESS_MAX);
      this.#readAuthority(rest, scheme);
    }
  }

  /** @param rest - what follows the scheme and its slashes */
  #readAuthority(rest: string, scheme: string): void {
    const address = rest.split(ADDRESS_END, 1)[0] ?? '';
    if (address === '' || scheme === 'file') return;
    const parsed = hostOf(`http://${address}`);
    if (parsed !== null) this.hosts.add(parsed);
    // RFC 3986 readers do not stop at a backslash: `good.com\@evil.com` is evil.com to them.
    const strict = hostOf(`http://${(address.split(/[/?#]/, 1)[0] ?? '').replace(/^.*@/, '')}`);
    if (strict !== null) this.hosts.add(strict);
    else if (parsed === null && SPECIAL.has(scheme)) this.isUnreadable = true;
  }

  /** `git@host:path` and `user@host:/path`, as scp, rsync and git read them. Not `user@host`. */
  #searchUserAtHost(text: string): void {
    for (const [, host] of text.matchAll(
      /[A-Za-z0-9_.-]{1,64}@(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253}):/g,
    )) {
      if (this.#isTooMany()) return;
      this.#add(host ?? '');
    }
  }

  #searchHostAndPort(text: string, kind: ArgumentKind): void {
    for (const [, host, port] of text.matchAll(HOST_AND_PORT)) {
      if (this.#isTooMany()) return;
      if (host === undefined || Number(port) > 65_535 || Number(port) === 0) continue;
      if (isAddressLiteral(host) || isKnownName(host, kind)) this.#add(host);
    }
  }

  /** The whole text is a host, `//host/path`, `\\host\share`, or an address without a scheme. */
  #searchWhole(text: string, kind: ArgumentKind): void {
    const slashes = /^(?:\/\/|\\\\|\/\\|\\\/)[/\\]*/.exec(text);
    if (slashes !== null) {
      const rest = text.slice(slashes[0].length, ADDRESS_MAX);
      if (/^[A-Za-z0-9\u0080-\u{10ffff}[]/u.test(rest))
        this.#readAuthority(rest, kind === 'url' ? 'http' : '');
      return;
    }
    const host = text.slice(0, ADDRESS_MAX).split(/[/?#\\]/, 1)[0] ?? '';
    if (kind === 'url' && host !== '' && !text.includes('://'))
      this.#readAuthority(text.slice(0, ADDRESS_MAX), 'http');
    else if (host === text && (isAddressLiteral(host) || isKnownName(host, kind))) this.#add(host);
  }

  #add(host: string): void {
    const parsed = hostOf(`http://${host}`);
    if (parsed !== null) this.hosts.add(parsed);
  }

  #isTooMany(): boolean {
    this.#addresses += 1;
    if (this.#addresses > ADDRESSES_MAX) this.isUnreadable = true;
    return this.#addresses > ADDRESSES_MAX;
  }
}

/** A scheme with its slashes; the schemes of the web also without any. */
const SCHEME =
  /(?<![a-z0-9+.-])((?:https?|wss?|ftp)(?=:[\\/]*[^\s\\/])|[a-z][a-z0-9+.-]{1,30}(?=:[\\/]{2}))(?:(?<=https?|wss?|ftp):[\\/]*|:[\\/]{2,})/gi;

/** Ends an address inside a text. */
const ADDRESS_END = /[\s"'`<>|^{}()]/;

const SPECIAL = new Set(['http', 'https', 'ws', 'wss', 'ftp']);

const HOST_AND_PORT =
  /(?<![A-Za-z0-9.@:/_-])((?:[A-Za-z0-9_-]{1,63}\.){1,20}[A-Za-z0-9-]{1,63}|localhost|\[[0-9a-fA-F:.]{2,45}\])\.?:([0-9]{1,5})(?![0-9A-Za-z.])/g;

/** The host as a browser reads it; null when there is none. */
function hostOf(url: string): string | null {
  // The caller decides what an unreadable address means.
  if (!URL.canParse(url)) return null;
  const { hostname } = new URL(url);
  return hostname === '' ? null : normalise(hostname);
}

function normalise(hostname: string): string {
  const host = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.+$/, '')
    .toLowerCase();
  if (!LOOKS_LIKE_ADDRESS.test(host) || !ipaddr.isValid(host)) return host;
  const address = ipaddr.parse(host);
  if (address.kind() === 'ipv4') return address.toString();
  const v6 = address as ipaddr.IPv6;
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address().toString() : v6.toString();
}

/** The address parser throws for anything else, which is slow. */
const LOOKS_LIKE_ADDRESS = /^[0-9.]{7,15}$|^[0-9a-f:.]*:[0-9a-f:.]*$/i;

/** `10.0.0.1`, `[::1]`; the odd notations of IPv4 only where an address is expected anyway. */
function isAddressLiteral(text: string): boolean {
  const host = text.replace(/^\[|\]$/g, '');
  if (host === 'localhost') return true;
  if (!LOOKS_LIKE_ADDRESS.test(host)) return false;
  return (
    ipaddr.IPv4.isValidFourPartDecimal(host) || (host.includes(':') && ipaddr.IPv6.isValid(host))
  );
}

/** Endings that are top-level domains and far more often the ending of a file. */
const FILE_ENDINGS = /\.(?:py|sh|rs|md|pl|so|cc|ps|zip|mov|ml|mk|ac|am|la|pm|tf|pub|st|do)$/i;

/** A name under a public suffix. Prose and file names must not look like hosts. */
function isKnownName(host: string, kind: ArgumentKind): boolean {
  if (!/^[A-Za-z0-9_.-]+\.[A-Za-z][A-Za-z0-9-]*\.?$/.test(host)) return false;
  if (kind !== 'url' && FILE_ENDINGS.test(host)) return false;
  const { domain, isIcann } = parse(host);
  return domain !== null && isIcann === true;
}
