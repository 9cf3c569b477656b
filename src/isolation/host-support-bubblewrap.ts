import type { Shortfall } from './host-support-error.ts';

interface Known {
  readonly says: RegExp;
  readonly shortfall: Shortfall;
}

const CONTAINER = 'use tier `hardened`, or run the container with user namespaces allowed';

/** What bwrap says when it cannot start, and what that means on the systems where it is seen. */
const KNOWN: readonly Known[] = [
  {
    says: /setting up uid map: Permission denied|Failed RTM_NEWADDR/,
    shortfall: {
      cause:
        'AppArmor keeps user namespaces from programs without a profile (Ubuntu 23.10 and later)',
      remedy:
        'put `abi <abi/4.0>, profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }` into /etc/apparmor.d/bwrap and run `apparmor_parser -r` on it',
    },
  },
  {
    says: /No space left on device/,
    shortfall: {
      cause: 'the limit of user namespaces is 0 or reached',
      remedy: 'raise it with `sysctl user.max_user_namespaces=15000`',
    },
  },
  {
    says: /No permissions to creat|Creating new namespace failed: Operation not permitted/,
    shortfall: {
      cause: 'new namespaces are not permitted here, as in most containers',
      remedy: CONTAINER,
    },
  },
  {
    says: /mount proc|Can't mount proc/i,
    shortfall: {
      cause: 'a private /proc cannot be mounted, as in most containers',
      remedy: CONTAINER,
    },
  },
  {
    says: /Unknown option/i,
    shortfall: {
      cause: 'this bubblewrap is older than 0.8',
      remedy: 'install bubblewrap 0.8 or later',
    },
  },
];

/**
 * Why bwrap did not start, for people.
 *
 * @param stderr - what it said; only its first line is repeated where it is nothing known
 */
export function bubblewrapShortfall(stderr: string): Shortfall {
  const known = KNOWN.find(({ says }) => says.test(stderr));
  if (known !== undefined) return known.shortfall;
  const [line = ''] = stderr.split('\n');
  return {
    cause: `bubblewrap does not start here: ${line.slice(0, 200) || 'it says nothing'}`,
    remedy: 'use tier `hardened`, or start `bwrap --unshare-all --ro-bind / / true` to see why',
  };
}
