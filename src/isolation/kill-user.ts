import { tmpdir } from 'node:os';
import type { CallIdentities } from './call-identity.ts';
import { buildKillRows } from './launch-table-rows.ts';
import type { Launcher } from './launcher.ts';
import { runLauncher } from './launcher-run.ts';
import { removeScratchOf } from './scratch.ts';

/**
 * Kills every process of a call's own user, whatever it does meanwhile: a launcher that becomes that
 * user and kills all it may. Takes about 9 ms.
 */
export async function killUser(
  launcher: Launcher,
  identities: CallIdentities,
  uid: number,
): Promise<void> {
  const killerUid = identities.take();
  try {
    await runLauncher(launcher, buildKillRows({ uid, gid: uid, killerUid }));
  } finally {
    identities.release(killerUid);
  }
}

/**
 * Ends what supervisors that were killed left to run as users of their calls, removes the scratch
 * folders of these users and gives their ids back.
 *
 * @returns the ids that were swept
 */
export async function sweepUsers(
  launcher: Launcher,
  identities: CallIdentities,
): Promise<readonly number[]> {
  const orphans = identities.orphaned();
  for (const uid of orphans) {
    await killUser(launcher, identities, uid);
    // INVARIANT: nothing runs as that user, so nobody can swap a folder for a link meanwhile.
    await removeScratchOf(tmpdir(), uid);
    identities.release(uid);
  }
  return orphans;
}
