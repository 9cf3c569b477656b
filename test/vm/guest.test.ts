import { beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../isolation/host-layers.ts';
import { bootGuest, type GuestRun } from './boot-guest.ts';
import { buildGuestImage, type GuestImage } from './guest-image.ts';

const { ENFORCECORE_TEST_SLOW, ENFORCECORE_TEST_REQUIRE = '' } = process.env;
const isWanted =
  ENFORCECORE_TEST_SLOW === '1' || ENFORCECORE_TEST_REQUIRE.split(',').includes('vm');

/** Null, after saying why, where there is no QEMU, no apt or no kernel to download. */
function imageOrNull(): GuestImage | null {
  try {
    return buildGuestImage();
  } catch (error) {
    process.stderr.write(`no guest: ${error instanceof Error ? error.message : error}\n`);
    return null;
  }
}
const image = isWanted ? imageOrNull() : null;

describe.skipIf(!isWanted || lacks('vm', image !== null))(
  'in a guest with Linux 6.1 and cgroup v2',
  () => {
    let guest: GuestRun;

    beforeAll(async () => {
      if (image !== null) guest = await bootGuest(image);
    }, 660_000);

    test('every check holds, and the guest came to its end', () => {
      const failed = guest.checks.filter(({ problem }) => problem !== null);
      expect({ failed, finished: guest.finished }, guest.console).toEqual({
        failed: [],
        finished: true,
      });
      expect(guest.checks.map(({ name }) => name)).toContain(
        'root finds every controller of cgroup v2',
      );
    });
  },
);
