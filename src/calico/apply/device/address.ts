/**
 * The tunnel's own address (docs/reference/calico-felix.md#address): the one, as /32 or /128, and no other of the family. IPv6's link-local addresses, which the
 * kernel gives a TUN by itself, are not counted.
 */
import { formatAddress } from '../../../base/address.ts';
import { ADDRESS_FLAG, type InterfaceAddress } from '../../../netlink/addresses.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import type { LinkReference } from '../../../netlink/links.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';

/**
 * @param shield is awaited before the last IPv4 address goes: a link without one has no IPv4, and the kernel takes its routes out of every table, so
 * that others would answer for them
 * @returns whether that was so
 */
export async function ensureAddress(
  work: Work,
  link: LinkReference,
  { address, family }: DesiredTunnel,
  shield: () => Promise<void>,
): Promise<boolean> {
  const { addresses } = work.host.network;
  const there = (await addresses.list(link, family)).filter(one => !isLinkLocal(one));
  const wanted = address && formatAddress(address);
  const bits = family === 4 ? 32 : 128;
  const isRight = (one: InterfaceAddress): boolean =>
    formatAddress(one.address) === wanted && one.prefixLength === bits && !one.peer;
  const right = there.find(isRight);
  let left = there.length;
  let wasBare = false;
  const takeAway = async (one: InterfaceAddress): Promise<void> => {
    if (--left === 0 && family === 4) {
      wasBare = true;
      await shield();
    }
    await remove(work, link, one);
  };
  // IPv6 takes no address twice, whatever the lengths: the wrong one of the same address goes first
  for (const one of there) if (one !== right && formatAddress(one.address) === wanted) await takeAway(one);
  if (address && !right) {
    work.change(`address ${wanted}/${bits}: added to ${link.name}`);
    await addresses.add(link, {
      address,
      prefixLength: bits,
      ...(family === 6 && { flags: ADDRESS_FLAG.noDuplicateCheck }),
    });
    left++;
  }
  for (const one of there) if (one !== right && formatAddress(one.address) !== wanted) await takeAway(one);
  return wasBare;
}

async function remove({ host, change }: Work, link: LinkReference, one: InterfaceAddress): Promise<void> {
  change(`address ${formatAddress(one.address)}/${one.prefixLength}: removed from ${link.name}`);
  try {
    await host.network.addresses.remove(link, one);
  } catch (error) {
    if (!isRefusal(error, 'EADDRNOTAVAIL')) throw error;
  }
}

function isLinkLocal({ address }: InterfaceAddress): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
