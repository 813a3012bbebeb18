/**
 * Which endpoints are to be asked for again by name: those that may have moved, because nothing was heard of the peer for longer than a session
 * lasts. (The kernel's documentation has a script for cron that does so, reresolve-dns.sh; its patience is the same.)
 */
import { sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import type { QuickFile } from './file.ts';

export interface DueEndpoint {
  readonly publicKey: Uint8Array;
  readonly endpoint: HostEndpoint;
  /** Where it is thought to be now. */
  readonly current?: Uint8Array;
}

/** REJECT_AFTER_TIME less the time to have it answered: a session that is used is never older. */
const SILENCE = 135;

/** @param now Unix time, seconds */
export function dueEndpoints({ wireguard }: QuickFile, status: DeviceStatus, now: number): DueEndpoint[] {
  const peers = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  return wireguard.peers.flatMap(({ publicKey, endpoint }) => {
    const peer = peers.get(formatKeyHex(publicKey));
    if (!peer || !endpoint || endpoint instanceof Uint8Array || now - peer.lastHandshakeSeconds <= SILENCE) return [];
    return { publicKey, endpoint, ...(peer.endpoint && { current: peer.endpoint }) };
  });
}

/** What the device is to be told; undefined if the name still means where it is thought to be. */
export function movedTo({ publicKey, current }: DueEndpoint, found: Uint8Array): DeviceConfig | undefined {
  if (current && sameFarSide(current, found)) return undefined;
  return { peers: [{ publicKey, updateOnly: true, endpoint: found }] };
}
