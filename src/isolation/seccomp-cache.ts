import { createHash } from 'node:crypto';
import { type BuiltinProfile, loadBuiltinProfile } from './seccomp-builtin.ts';
import { compileSeccomp } from './seccomp-compile.ts';
import type { SeccompProfile } from './seccomp-profile.ts';
import { buildSeccompFilter, type SeccompSituation } from './seccomp-rules.ts';

/** The filter of one situation, for the process it will hold for. */
export interface PidFilter {
  /** Only filters against signals need the pid of the tool; null where it cannot be known. */
  readonly forPid: (pid: number | null) => Uint8Array;
  /** SHA-256 of the filter for pid 1: the pid is the only thing that differs from call to call. */
  readonly digest: string;
}

/** Situations differ in a few fields of few values; this only bounds a mistake. */
const FILTERS_MAX = 256;

/** Compiled filters, by everything they are compiled from. Compiling takes 2 ms. */
export class FilterCache {
  readonly #profiles = new Map<BuiltinProfile, SeccompProfile>();
  readonly #filters = new Map<string, PidFilter>();

  of(profile: BuiltinProfile, situation: SeccompSituation): PidFilter {
    const key = JSON.stringify([profile, situation]);
    const known = this.#filters.get(key);
    if (known !== undefined) return known;
    if (this.#filters.size >= FILTERS_MAX) this.#filters.clear();
    const filter = this.#compile(profile, situation);
    this.#filters.set(key, filter);
    return filter;
  }

  #compile(profile: BuiltinProfile, situation: SeccompSituation): PidFilter {
    const rules = this.#rulesOf(profile);
    const compiled = (selfPid: number | null): Uint8Array =>
      compileSeccomp(buildSeccompFilter(rules, { ...situation, selfPid }));
    const first = compiled(1);
    // Compared once: a filter in which the pid does not occur is the same for every process.
    const isForAll = Buffer.compare(first, compiled(2)) === 0;
    const forPid = (pid: number | null): Uint8Array => (isForAll ? first : compiled(pid));
    return { forPid, digest: createHash('sha256').update(first).digest('hex') };
  }

  #rulesOf(profile: BuiltinProfile): SeccompProfile {
    const known = this.#profiles.get(profile) ?? loadBuiltinProfile(profile);
    this.#profiles.set(profile, known);
    return known;
  }
}
