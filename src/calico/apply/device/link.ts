/**
 * Creates or adopts the tunnel's interface, sets its MTU and brings it up
 * (docs/reference/calico-felix.md#link).
 */

import { WIREGUARD_KIND } from '../../../backend/kernel.ts';
import { codedError } from '../../../base/coded-error.ts';
import { isInterfaceName } from '../../../base/interface-name.ts';
import { eraseStatus } from '../../../config/model.ts';
import { isRefusal } from '../../../netlink/errors.ts';
import type { Link } from '../../../netlink/links.ts';
import { isOrphan } from '../../../netlink/orphan.ts';
import type { DeviceKind } from '../../../quick/state.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';
import { ensureRunner } from './runner.ts';

const TUN_KIND = 'tun';
const MAX_POLLS = 40;
const POLL_INTERVAL_MS = 50;

export interface UsableLink {
  readonly link: Link;
  readonly backend: DeviceKind;
  /** Whether a new process took the link, which therefore has no configuration. */
  readonly isAdopted: boolean;
}

/**
 * Creates or adopts the interface, and waits until it is up.
 * @param known the index of a link that is known to be ours; the device is then not queried
 * @throws Error if another program uses the name; its interface is left untouched
 */
export async function ensureLink(
  context: ApplyContext,
  { interfaceName, mtu }: DesiredTunnel,
  known: number | undefined,
): Promise<UsableLink> {
  const { network } = context.host;
  let link = await network.links.find(interfaceName);
  if (link && link.index !== known && link.kind === TUN_KIND && !isOrphan(link) && (await isOurs(context, link)))
    if (!(await ensureRunner(context, interfaceName)))
      // A process that could not hand the device over may have ended since.
      link = await network.links.find(interfaceName);
  const isAdopted = link !== undefined && isOrphan(link);
  if (!link) {
    link = await create(context, interfaceName);
  } else if (isAdopted) {
    link = await adopt(context, interfaceName);
  } else if (link.index !== known && !(await isOurs(context, link)))
    throw codedError(
      'EEXIST',
      `the interface name ${interfaceName} is already used by ${described(link)}, which was left untouched. Remove that interface, or choose another interface name`,
    );
  const backend = link.kind === WIREGUARD_KIND ? 'kernel' : 'userspace';
  if (link.mtu !== mtu || !link.up) {
    context.recordChange(`link ${interfaceName}: MTU ${mtu}, up`);
    await network.links.change(link, { mtu, up: true });
    link = await waitUntilUp(context, interfaceName);
  } else if (!link.running) link = await waitUntilUp(context, interfaceName);
  return { link, backend, isAdopted };
}

/**
 * Removes the interface if it is a WireGuard interface, or one whose process died. Any other
 * interface of this name is not ours and stays. Idempotent.
 */
export async function removeLink(context: ApplyContext, interfaceName: string): Promise<void> {
  const { network, devices } = context.host;
  if (!isInterfaceName(interfaceName)) return;
  const link = await network.links.find(interfaceName);
  if (!link || !(isOrphan(link) || (await isOurs(context, link)))) return;
  context.recordChange(`link ${interfaceName}: removed`);
  try {
    await network.links.remove(link);
  } catch (error) {
    if (!isRefusal(error, 'ENODEV')) throw error;
  }
  await devices.gone(interfaceName);
}

async function create({ host, recordChange }: ApplyContext, name: string): Promise<Link> {
  const kind = await host.devices.choose();
  recordChange(`link ${name}: created (${kind})`);
  return start(host, name, kind);
}

/** Starts a new process for a link whose process died. Addresses and routes are still there. */
function adopt({ host, recordChange }: ApplyContext, name: string): Promise<Link> {
  recordChange(`link ${name}: adopted, because its process died`);
  return start(host, name, 'userspace');
}

async function start(host: ApplyContext['host'], name: string, kind: DeviceKind): Promise<Link> {
  try {
    await host.devices.create(name, kind);
    if (kind === 'userspace') host.runners.write(name, host.runners.own);
  } catch (error) {
    // Another process created the interface first, perhaps an agent that was about to exit.
    if (!isRefusal(error, 'EEXIST')) throw error;
  }
  const link = await host.network.links.find(name);
  if (link) return link;
  throw codedError(
    'ENODEV',
    `the interface ${name} was created and has disappeared: its process ended, or another program removed it`,
  );
}

/**
 * Returns whether the link is WireGuard: either the kernel's, or a TUN whose process answers as
 * WireGuard.
 */
async function isOurs({ host }: ApplyContext, { name, kind }: Link): Promise<boolean> {
  if (kind === WIREGUARD_KIND) return true;
  if (kind !== TUN_KIND) return false;
  const status = await host.devices.status(name);
  if (status) eraseStatus(status);
  return status !== undefined;
}

function described({ kind }: Link): string {
  if (kind === TUN_KIND) return 'a TUN that does not answer as WireGuard';
  return kind === undefined ? 'a link without a kind, such as a physical device' : `a link of kind ${kind}`;
}

async function waitUntilUp({ host }: ApplyContext, name: string): Promise<Link> {
  for (let poll = 0; poll < MAX_POLLS; poll++) {
    const link = await host.network.links.find(name);
    if (!link) throw codedError('ENODEV', `the interface ${name} disappeared while it was being set up`);
    if (link.up && link.running) return link;
    await host.sleep(POLL_INTERVAL_MS);
  }
  throw codedError(
    'ETIMEDOUT',
    `the interface ${name} did not come up within ${(MAX_POLLS * POLL_INTERVAL_MS) / 1000} s`,
  );
}
