import { BlockList, isIP } from 'node:net';

/** A set of IP addresses. */
export interface AddressList {
  readonly has: (address: string) => boolean;
}

/** Where no tool may connect to, whatever name led there. */
const FORBIDDEN: readonly (readonly [string, number])[] = [
  // This host, this network, link-local (cloud metadata is 169.254.169.254), multicast, reserved.
  ...([
    ['0.0.0.0', 8],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['224.0.0.0', 4],
  ] as const),
  ...([
    ['240.0.0.0', 4],
    ['::', 128],
    ['::1', 128],
    ['fe80::', 10],
    ['fec0::', 10],
  ] as const),
  ...([
    ['ff00::', 8],
    ['100::', 64],
  ] as const),
  // Metadata services outside of link-local: Alibaba, Azure, Oracle, AWS, Google.
  ...([
    ['100.100.100.200', 32],
    ['168.63.129.16', 32],
    ['192.0.0.0', 24],
  ] as const),
  ...([
    ['fd00:ec2::', 32],
    ['fd20:ce::', 32],
  ] as const),
  // IPv4 in IPv6 clothes: mapped, compatible, NAT64, 6to4 and its relays, Teredo.
  ...([
    ['::ffff:0:0', 96],
    ['::', 96],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
  ] as const),
  ...([
    ['2002::', 16],
    ['192.88.99.0', 24],
    ['2001::', 32],
  ] as const),
];

const PRIVATE: AddressList = addressList([
  ...([
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['100.64.0.0', 10],
  ] as const),
  ...([['fc00::', 7]] as const),
]);

/** True for an address of a network that is not the internet: RFC 1918, RFC 4193, RFC 6598. */
export function isPrivateAddress(address: string): boolean {
  return PRIVATE.has(address);
}

/**
 * Addresses that are refused whatever name led to them: this host under any address, link-local,
 * metadata services, multicast, and IPv4 addresses wrapped in IPv6 ones.
 *
 * @param own - addresses of this host's interfaces
 * @see RFC 6890 and the metadata pages of the clouds
 */
export function forbiddenAddresses(own: readonly string[]): AddressList {
  const addresses = own.map((text) => text.split('%', 1)[0] ?? '');
  const single = addresses.flatMap((address): readonly [string, number][] =>
    isIP(address) === 0 ? [] : [[address, isIP(address) === 6 ? 128 : 32]],
  );
  return addressList([...FORBIDDEN, ...single]);
}

/** Kept apart by family: a BlockList takes every IPv4 address for one in `::ffff:0:0/96`. */
function addressList(subnets: readonly (readonly [string, number])[]): AddressList {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const [address, prefix] of subnets)
    lists[familyOf(address)].addSubnet(address, prefix, familyOf(address));
  return { has: (address) => lists[familyOf(address)].check(address, familyOf(address)) };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
