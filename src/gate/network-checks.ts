import { getDomain } from 'tldts';
import type { Json, Reason } from '../call.ts';
import type { ArgumentKind, NetworkSection } from '../policy/index.ts';
import { argumentStrings } from './argument-strings.ts';
import type { Check } from './check.ts';
import { compileDomains, type DomainMatcher, domainListsOf } from './domain-lists.ts';
import { findHosts } from './find-hosts.ts';

/**
 * The network rules on addresses in arguments. A tripwire that denies early and says why; the same
 * rules are enforced on the real connections of the worker.
 */
export function networkChecks(
  network: NetworkSection | undefined,
): (kinds: Readonly<Record<string, ArgumentKind>>) => Check[] {
  if (network === undefined || network === 'unrestricted') return () => [];
  if (typeof network !== 'string' && network.enabled === false) return () => [];
  const domains = compileDomains(domainListsOf(network));
  return (kinds) => [
    {
      rule: 'network',
      force: 'soft',
      run({ call, redactedArgs }) {
        const given = reasonsIn(call.args, kinds, domains);
        if (redactedArgs === call.args) return given;
        return unique([...given, ...reasonsIn(redactedArgs, kinds, domains)]);
      },
    },
  ];
}

/** Reasons shown for one call; a text full of addresses does not fill the trail. */
const REASONS_MAX = 20;

function reasonsIn(
  args: Json,
  kinds: Readonly<Record<string, ArgumentKind>>,
  domains: DomainMatcher,
): Reason[] {
  const reasons: Reason[] = [];
  for (const { text, kind, path } of argumentStrings(args, kinds)) {
    const { hosts, isUnreadable } = findHosts(text, kind);
    if (isUnreadable)
      reasons.push(deny('network', `\`${path}\` has an address that cannot be read`));
    for (const host of hosts) {
      const rule = ruleAgainst(host, domains);
      if (rule === null) continue;
      const why =
        rule === 'network.denied_domains' ? 'is a denied domain' : 'is not an allowed domain';
      reasons.push(deny(rule, `\`${shown(host)}\` in \`${path}\` ${why}`));
    }
    if (reasons.length >= REASONS_MAX) break;
  }
  return unique(reasons).slice(0, REASONS_MAX);
}

function ruleAgainst(host: string, domains: DomainMatcher): string | null {
  if (domains.denies(host)) return 'network.denied_domains';
  return domains.allows(host) ? null : 'network.allowed_domains';
}

function deny(rule: string, message: string): Reason {
  return { rule, code: 'ENF_DENIED_NETWORK', message };
}

/** The registrable name, or the address: labels before it can carry data into the trail. */
function shown(host: string): string {
  return (getDomain(host) ?? host).slice(0, 64);
}

function unique(reasons: readonly Reason[]): Reason[] {
  const byText = new Map(reasons.map((reason) => [reason.rule + reason.message, reason]));
  return [...byText.values()];
}
