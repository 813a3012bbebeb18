/**
 * Keeps exactly one address on the tunnel, as /32 or /128 (docs/reference/calico-felix.md#address).
 * Ignores IPv6 link-local addresses, because the kernel itself assigns one to a TUN.
 */
import { formatAddress } from '../../../base/address.ts';
import { ADDRESS_FLAG, type InterfaceAddress } from '../../../netlink/addresses.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import type { LinkReference } from '../../../netlink/links.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

/**
 * Sets the address and removes all others.
 * @param beforeLastRemoved is awaited before the last IPv4 address is removed. That removal makes
 * the kernel delete the link's routes from every table, and other routes would then match.
 * @returns true if the link was without an IPv4 address for a moment
 */
export async function ensureAddress(
  context: ApplyContext,
  link: LinkReference,
  { address, family }: DesiredTunnel,
  beforeLastRemoved: () => Promise<void>,
): Promise<boolean> {
  const { addresses } = context.host.network;
  const existing = (await addresses.list(link, family)).filter(one => !isLinkLocal(one));
  const wanted = address && formatAddress(address);
  const bits = family === 4 ? 32 : 128;
  const isRight = (one: InterfaceAddress): boolean =>
    formatAddress(one.address) === wanted && one.prefixLength === bits && !one.peer;
  const right = existing.find(isRight);
  let remaining = existing.length;
  let hadNone = false;
  const removeOne = async (one: InterfaceAddress): Promise<void> => {
    if (--remaining === 0 && family === 4) {
      hadNone = true;
      await beforeLastRemoved();
    }
    await remove(context, link, one);
  };
  // IPv6 rejects the same address with another prefix length, so remove the wrong one first.
  for (const one of existing) if (one !== right && formatAddress(one.address) === wanted) await removeOne(one);
  if (address && !right) {
    context.recordChange(`address ${wanted}/${bits}: added to ${link.name}`);
    await addresses.add(link, {
      address,
      prefixLength: bits,
      ...(family === 6 && { flags: ADDRESS_FLAG.noDuplicateCheck }),
    });
    remaining++;
  }
  for (const one of existing) if (one !== right && formatAddress(one.address) !== wanted) await removeOne(one);
  return hadNone;
}

async function remove({ host, recordChange }: ApplyContext, link: LinkReference, one: InterfaceAddress): Promise<void> {
  recordChange(`address ${formatAddress(one.address)}/${one.prefixLength}: removed from ${link.name}`);
  try {
    await host.network.addresses.remove(link, one);
  } catch (error) {
    if (!isRefusal(error, 'EADDRNOTAVAIL')) throw error;
  }
}

function isLinkLocal({ address }: InterfaceAddress): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
