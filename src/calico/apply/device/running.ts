/**
 * Finds devices that carry packets although this agent has not applied a plan, or could not.
 * Nothing here throws: a device that cannot be read does not count as running.
 */

import { WIREGUARD_KIND } from '../../../backend/kernel.ts';
import { sameBytes } from '../../../base/bytes.ts';
import { formatKeyBase64 } from '../../../base/key.ts';
import { type DeviceStatus, eraseStatus } from '../../../config/model.ts';
import type { DeviceKind } from '../../../quick/state.ts';
import type { DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

export interface RunningDevice {
  readonly interfaceName: string;
  /** Index of the link. */
  readonly link: number;
  readonly backend: DeviceKind;
  /** In base64. */
  readonly publicKey: string;
  /** What this process applied; undefined if a previous agent left the device. */
  readonly tunnel?: DesiredTunnel;
}

/** Returns whether the device still exists and answers. */
export async function isRunning({ host }: ApplyContext, { link, interfaceName }: RunningDevice): Promise<boolean> {
  try {
    const found = await host.network.links.find(link);
    if (found?.name !== interfaceName) return false;
    const status = await host.devices.status(interfaceName);
    if (status) eraseStatus(status);
    return status !== undefined;
  } catch {
    return false;
  }
}

/** Returns the first of these interfaces that runs with our stored key. */
export async function findInherited(
  context: ApplyContext,
  candidates: readonly { readonly interfaceName: string }[],
): Promise<RunningDevice | undefined> {
  for (const { interfaceName } of candidates) {
    const found = await withStoredKey(context, interfaceName);
    if (found) return found;
  }
  return undefined;
}

async function withStoredKey(
  { host, family }: ApplyContext,
  interfaceName: string,
): Promise<RunningDevice | undefined> {
  let stored: Uint8Array | undefined;
  let status: DeviceStatus | undefined;
  try {
    const link = await host.network.links.find(interfaceName);
    if (!link?.up) return undefined;
    stored = host.keys.load(family);
    status = await host.devices.status(interfaceName);
    const { privateKey, publicKey } = status ?? {};
    if (!stored || !privateKey || !publicKey || !sameBytes(stored, privateKey)) return undefined;
    const backend = link.kind === WIREGUARD_KIND ? 'kernel' : 'userspace';
    return { interfaceName, link: link.index, backend, publicKey: formatKeyBase64(publicKey) };
  } catch {
    return undefined;
  } finally {
    stored?.fill(0);
    if (status) eraseStatus(status);
  }
}
