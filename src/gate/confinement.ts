import type { Confinement, IsolationRules, Limits, NetworkRules } from '../call.ts';
import { DEFAULTS, type PolicyDocument, type ResourceLimitsSection } from '../policy/index.ts';
import { domainListsOf } from './domain-lists.ts';

const MEGABYTE = 1_048_576;

/** The sections that say how a tool is confined, after merging. */
export type ConfinementSections = Pick<
  PolicyDocument,
  'resource_limits' | 'environment' | 'isolation' | 'filesystem' | 'network'
>;

/**
 * What a runner must hold a tool to.
 *
 * @param explicit - false for the shipped default policy: its values are defaults, not demands
 */
export function confinementOf(sections: ConfinementSections, explicit: boolean): Confinement {
  return {
    limits: limitsOf(sections.resource_limits),
    environment: {
      pass: sections.environment?.pass ?? DEFAULTS.environment.pass,
      set: { ...sections.environment?.set },
    },
    filesystem: { ...DEFAULTS.filesystem, ...sections.filesystem },
    network: networkOf(sections.network),
    isolation: isolationOf(sections.isolation),
    explicit: new Set(explicit ? writtenKeys(sections) : []),
  };
}

function limitsOf(written: PolicyDocument['resource_limits']): Limits {
  const value = (key: LimitKey): number => {
    const limit = written?.[key] ?? DEFAULTS.resource_limits[key];
    return limit === 'unlimited' ? Infinity : limit;
  };
  return {
    wallMs: value('max_call_duration_seconds') * 1000,
    cpuMs: value('max_cpu_seconds') * 1000,
    memoryBytes: Math.floor(value('max_memory_mb') * MEGABYTE),
    processesMax: value('max_processes'),
    openFilesMax: value('max_open_files'),
    fileSizeBytes: Math.floor(value('max_file_size_mb') * MEGABYTE),
    diskBytes: Math.floor(value('max_disk_mb') * MEGABYTE),
    inputBytes: value('max_input_size_bytes'),
    argumentDepthMax: value('max_argument_depth'),
    outputBytes: value('max_output_size_bytes'),
  };
}

type LimitKey = Exclude<
  keyof ResourceLimitsSection,
  'max_concurrent_calls' | 'max_cost_usd' | 'on_busy'
>;

function isolationOf(written: PolicyDocument['isolation']): IsolationRules {
  return { ...DEFAULTS.isolation, ...written };
}

/**
 * The rule for real connections. A denied domain is listed with its subdomains, so that every
 * reader of the list denies the same; `*` among the allowed stands for all names.
 */
function networkOf(written: PolicyDocument['network']): NetworkRules {
  const { allowed, denied, isUnrestricted } = domainListsOf(written);
  if (isUnrestricted) return 'unrestricted';
  return allowed.length === 0 ? 'none' : { allowedDomains: allowed, deniedDomains: denied };
}

/** `resource_limits.max_cpu_seconds`, `isolation.min`, `environment`: what the user asked for. */
function writtenKeys(sections: ConfinementSections): string[] {
  const keysOf = (name: 'resource_limits' | 'isolation'): string[] =>
    Object.keys(sections[name] ?? {}).map((key) => `${name}.${key}`);
  const whole = (['environment', 'filesystem', 'network'] as const).filter(
    (name) => sections[name] !== undefined,
  );
  return [...keysOf('resource_limits'), ...keysOf('isolation'), ...whole];
}
