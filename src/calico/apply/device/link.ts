/** The tunnel's interface (docs/reference/calico-felix.md#link): there, of a kind that we may use, with its MTU, and up. */

import { WIREGUARD_KIND } from '../../../backend/kernel.ts';
import { codedError } from '../../../base/coded-error.ts';
import { eraseStatus } from '../../../config/model.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import { isLinkName, type Link } from '../../../netlink/links.ts';
import type { BackendKind } from '../../../quick/state.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';

const TUN_KIND = 'tun';
const LOOKS = 40;
const PAUSE = 50;

export interface UsableLink {
  readonly link: Link;
  readonly backend: BackendKind;
}

/**
 * @param known the index of the link that was found to be ours before: asking a device who it is takes time
 * @throws Error where the name is somebody else's, of whom nothing is touched
 */
export async function ensureLink(
  work: Work,
  { interfaceName, mtu }: DesiredTunnel,
  known: number | undefined,
): Promise<UsableLink> {
  const { network } = work.host;
  let link = await network.links.find(interfaceName);
  if (!link) {
    link = await create(work, interfaceName);
  } else if (link.index !== known && !(await isOurs(work, link)))
    throw codedError(
      'EEXIST',
      `the interface name ${interfaceName} is in use by another: ${described(link)}; nothing of it was touched. Remove that one, or choose another interface name`,
    );
  if (link.mtu !== mtu || !link.up) {
    work.change(`link ${interfaceName}: MTU ${mtu}, up`);
    await network.links.change(link, { mtu, up: true });
    link = await untilUp(work, interfaceName);
  } else if (!link.running) link = await untilUp(work, interfaceName);
  return { link, backend: link.kind === WIREGUARD_KIND ? 'kernel' : 'userspace' };
}

/** Idempotent. One of that name that is no WireGuard is somebody else's, and stays. */
export async function removeLink(work: Work, interfaceName: string): Promise<void> {
  const { network, devices } = work.host;
  if (!isLinkName(interfaceName)) return;
  const link = await network.links.find(interfaceName);
  if (!link || !(await isOurs(work, link))) return;
  work.change(`link ${interfaceName}: removed`);
  try {
    await network.links.remove(link);
  } catch (error) {
    if (!isRefusal(error, 'ENODEV')) throw error;
  }
  await devices.gone(interfaceName);
}

async function create({ host, change }: Work, name: string): Promise<Link> {
  const kind = await host.devices.choose();
  change(`link ${name}: made, of the ${kind}`);
  try {
    await host.devices.create(name, kind);
  } catch (error) {
    // somebody was quicker, who may have been an agent that was about to end
    if (!isRefusal(error, 'EEXIST')) throw error;
  }
  const link = await host.network.links.find(name);
  if (link) return link;
  throw codedError(
    'ENODEV',
    `the interface ${name} was made, and is gone again: its process ended, or somebody removed it`,
  );
}

/** By what it is: the kernel's WireGuard, or a TUN that answers for itself as WireGuard does. */
async function isOurs({ host }: Work, { name, kind }: Link): Promise<boolean> {
  if (kind === WIREGUARD_KIND) return true;
  if (kind !== TUN_KIND) return false;
  const status = await host.devices.status(name);
  if (status) eraseStatus(status);
  return status !== undefined;
}

function described({ kind }: Link): string {
  if (kind === TUN_KIND) return 'a TUN that does not answer as WireGuard';
  return kind === undefined ? 'a link that no driver of links made' : `a link of kind ${kind}`;
}

async function untilUp({ host }: Work, name: string): Promise<Link> {
  for (let look = 0; look < LOOKS; look++) {
    const link = await host.network.links.find(name);
    if (!link) throw codedError('ENODEV', `the interface ${name} went while it was set up`);
    if (link.up && link.running) return link;
    await host.sleep(PAUSE);
  }
  throw codedError('ETIMEDOUT', `the interface ${name} did not come up within ${(LOOKS * PAUSE) / 1000} s`);
}
