import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';

/**
 * Why a text is not a domain pattern, or null. Patterns are `example.com` (that host only),
 * `*.example.com` (every subdomain, not the domain itself), `*`, or an IP address.
 */
export function domainPatternProblem(text: string): string | null {
  if (text === '*') return null;
  const host = text.startsWith('*.') ? text.slice(2) : text;
  if (isIpLiteral(host)) {
    return host === text ? null : 'a wildcard cannot stand before an IP address';
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return 'must be a host name without `scheme://`';
  if (/[/\\?#@:\s]/.test(text)) return 'must be a host name without port, path or user';
  if (text.includes('*') && !(text.startsWith('*.') && !host.includes('*'))) {
    return 'may have `*` only as the whole first label: `*.example.com`';
  }
  const ascii = domainToASCII(host);
  if (ascii === '' || ascii.length > 253) return 'is not a host name';
  if (isIpLiteral(ascii)) return `is the IP address ${ascii}; write it that way`;
  if (ascii !== host.toLowerCase()) return `must be written in ASCII: \`${ascii}\``;
  return null;
}

function isIpLiteral(host: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(host) || ipaddr.IPv6.isValid(host);
}
