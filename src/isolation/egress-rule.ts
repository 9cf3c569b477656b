import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { NetworkRules } from '../call.ts';
import { type AddressList, isPrivateAddress } from './egress-addresses.ts';

/** Why a connection is refused. Recorded in the audit trail. */
export type EgressReason =
  | 'no-network'
  | 'bad-host'
  | 'bad-port'
  | 'denied-domain'
  | 'not-allowed'
  | 'forbidden-address'
  | 'private-address'
  | 'not-resolved'
  | 'too-many'
  | 'not-recorded';

/** The answer for one destination. `host` is canonical, or what was asked for where it is none. */
export type EgressDecision =
  | { readonly effect: 'allow'; readonly host: string; readonly addresses: readonly string[] }
  | { readonly effect: 'deny'; readonly host: string; readonly reason: EgressReason };

const HOST = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;
const HOST_LENGTH_MAX = 253;

/**
 * Whether a name and a port may be connected to, as far as they tell. Decided before the name is
 * resolved: a lookup of `secret.attacker.example` would already carry the secret away.
 *
 * Patterns are `example.com` (that host), `*.example.com` (every host below it), `*`, or an IP
 * address. Denied ones win. An address is allowed only where it is listed itself.
 *
 * @param host - as the tool wrote it: any case, IDN, with or without a trailing dot or brackets
 */
export function decideHost(
  { host, port }: { readonly host: string; readonly port: number },
  rules: NetworkRules,
): { readonly effect: 'allow'; readonly host: string } | (EgressDecision & { effect: 'deny' }) {
  if (rules === 'none') return { effect: 'deny', host, reason: 'no-network' };
  const canonical = canonicalHost(host);
  if (canonical === null) return { effect: 'deny', host, reason: 'bad-host' };
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return { effect: 'deny', host: canonical, reason: 'bad-port' };
  if (rules === 'unrestricted') return { effect: 'allow', host: canonical };
  if (rules.deniedDomains.some((pattern) => matches(pattern, canonical)))
    return { effect: 'deny', host: canonical, reason: 'denied-domain' };
  if (!rules.allowedDomains.some((pattern) => matches(pattern, canonical)))
    return { effect: 'deny', host: canonical, reason: 'not-allowed' };
  return { effect: 'allow', host: canonical };
}

/**
 * Which of the addresses of an allowed name may be connected to: the connection is made to one of
 * these and to no other. Private networks need a pattern that names a domain; `*` alone would let
 * any owner of a domain point into them.
 *
 * @param host - canonical, from {@link decideHost}
 * @param forbidden - addresses that are never connected to, from {@link forbiddenAddresses}
 */
export function decideAddresses(
  { host, addresses }: { readonly host: string; readonly addresses: readonly string[] },
  rules: NetworkRules,
  forbidden: AddressList,
): EgressDecision {
  const valid = addresses.filter((address) => isIP(address) !== 0 && !address.includes('%'));
  if (valid.length === 0) return { effect: 'deny', host, reason: 'not-resolved' };
  if (rules === 'unrestricted') return { effect: 'allow', host, addresses: valid };
  const reachable = valid.filter((address) => !forbidden.has(address));
  if (reachable.length === 0) return { effect: 'deny', host, reason: 'forbidden-address' };
  const named =
    rules !== 'none' &&
    rules.allowedDomains.some((pattern) => pattern !== '*' && matches(pattern, host));
  const open = named ? reachable : reachable.filter((address) => !isPrivateAddress(address));
  if (open.length === 0) return { effect: 'deny', host, reason: 'private-address' };
  return { effect: 'allow', host, addresses: open };
}

/**
 * A host name or address in the one form in which it is compared, or `null` for what is neither.
 * Numbers that the URL standard reads as an IPv4 address (`0x7f.1`, `2130706433`) become one.
 */
export function canonicalHost(host: string): string | null {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 6 && !bare.includes('%'))
    return new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  // What a URL would cut off or decode is not part of a name.
  if (host.length > HOST_LENGTH_MAX + 1 || /[\s%/\\?#@:[\]]/.test(host)) return null;
  const ascii = domainToASCII(host.replace(/\.$/, ''));
  if (isIP(ascii) === 4) return ascii;
  return HOST.test(ascii) && ascii.length <= HOST_LENGTH_MAX && !endsInNumber(ascii) ? ascii : null;
}

/** Some resolvers read `1.2.3` or `1.2.3.0x4` as an address although the URL standard refuses it. */
const endsInNumber = (host: string): boolean => /(^|\.)(\d+|0x[0-9a-f]*)$/.test(host);

function matches(pattern: string, host: string): boolean {
  if (pattern === '*') return isIP(host) === 0;
  if (!pattern.startsWith('*.')) return canonicalHost(pattern) === host;
  const parent = canonicalHost(pattern.slice(2));
  return parent !== null && isIP(host) === 0 && host.endsWith(`.${parent}`);
}
