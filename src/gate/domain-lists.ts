import type { NetworkSection } from '../policy/index.ts';

/** The network section with its defaults and its shorthands written out. */
export interface DomainLists {
  readonly allowed: readonly string[];
  /** Each denied domain together with all its subdomains. */
  readonly denied: readonly string[];
  readonly isUnrestricted: boolean;
}

/** Nothing is allowed where the section is absent or switched off. */
export function domainListsOf(network: NetworkSection | undefined): DomainLists {
  if (network === 'unrestricted') return { allowed: ['*'], denied: [], isUnrestricted: true };
  if (network === undefined || network === 'none' || network.enabled === false) {
    return { allowed: [], denied: [], isUnrestricted: false };
  }
  const isNothingLeft = network.denied_domains?.includes('*') === true;
  const wanted = network.deny_all_other === false ? ['*'] : (network.allowed_domains ?? []);
  const allowed = isNothingLeft ? [] : wanted;
  const denied = (network.denied_domains ?? []).flatMap(withSubdomains);
  return {
    allowed: allowed.map((domain) => domain.toLowerCase()),
    denied: [...new Set(denied)],
    isUnrestricted: false,
  };
}

function withSubdomains(domain: string): string[] {
  const name = domain.toLowerCase().replace(/^\*\./, '');
  return name === '*' || name.includes(':') ? [name] : [name, `*.${name}`];
}

/** Compiled lists of domains: one look-up per label of a host name, however long the lists are. */
export interface DomainMatcher {
  allows(host: string): boolean;
  denies(host: string): boolean;
}

/** Names that lead back to the host or into its network; `*` does not stand for them. */
const LOCAL_NAMES = /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa|localdomain)$/;

/**
 * Compiles the lists. A host is lower-case ASCII without a trailing dot, or an IP address in its
 * normal form. `*` stands for public names, never for addresses.
 */
export function compileDomains({ allowed, denied }: DomainLists): DomainMatcher {
  const [allowedSet, deniedSet] = [new Set(allowed), new Set(denied)];
  return {
    denies: (host) => isListed(deniedSet, host),
    allows: (host) => isListed(allowedSet, host) || (allowedSet.has('*') && isPublicName(host)),
  };
}

function isListed(domains: ReadonlySet<string>, host: string): boolean {
  if (domains.has(host)) return true;
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
    if (domains.has(`*${host.slice(dot)}`)) return true;
  }
  return false;
}

function isPublicName(host: string): boolean {
  const isAddress = host.includes(':') || /^[0-9.]+$/.test(host);
  return !isAddress && host.includes('.') && !LOCAL_NAMES.test(host);
}
