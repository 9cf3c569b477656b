import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { IsolationUnavailableError } from '../errors.ts';
import { parseSeccompProfile, type SeccompProfile } from './seccomp-profile.ts';
import type { SeccompSituation } from './seccomp-rules.ts';

/** The profiles that come with the package, in `sandbox-profiles/`. */
export type BuiltinProfile = 'strict' | 'compat' | 'off';

/**
 * Reads a built-in profile. Cheap, but not free: keep the result.
 *
 * @throws {PolicyError} `ENF_POLICY_INVALID` when the installed file was altered into nonsense
 */
export function loadBuiltinProfile(name: BuiltinProfile): SeccompProfile {
  const file = createRequire(import.meta.url).resolve(`#sandbox-profiles/${name}.json`);
  return parseSeccompProfile(JSON.parse(readFileSync(file, 'utf8')));
}

/**
 * Refuses `compat` where it could not work: programs such as `git`, `tar` and `cp -p` change modes
 * and times by path, which must be denied to a tool that runs as the supervisor's own user with
 * nothing but Landlock around it.
 *
 * @throws {IsolationUnavailableError} naming what would make it possible
 */
export function checkProfileFits(
  name: BuiltinProfile,
  situation: Pick<SeccompSituation, 'tier' | 'sameUid'>,
): void {
  if (name !== 'compat' || situation.tier === 'isolated' || !situation.sameUid) return;
  throw new IsolationUnavailableError(
    'ENF_ISOLATION_UNAVAILABLE',
    'profile `compat` needs tier `isolated` or a user of its own: install bubblewrap, run as root, or use profile `strict`',
    { details: { profile: name, tier: situation.tier, sameUid: situation.sameUid } },
  );
}
