/**
 * Which endpoints are to be asked for again by name: those that may have moved, because nothing was heard of the peer for longer than a session
 * lasts. (The kernel's documentation has a script for cron that does so, reresolve-dns.sh; its patience is the same.)
 */
import { sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus, PeerStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import type { QuickFile } from './file.ts';

export interface DueEndpoint {
  readonly publicKey: Uint8Array;
  readonly endpoint: HostEndpoint;
  /** Where it is thought to be now. */
  readonly current?: Uint8Array;
  /** It had a session once. */
  readonly wasHeard: boolean;
  /** When, in a form that can be compared. */
  readonly handshake?: string;
  readonly rxBytes?: number;
  readonly txBytes?: number;
}

/** REJECT_AFTER_TIME less the time to have it answered: a session that is used is never older. */
const SILENCE = 135;

/** @param now Unix time, seconds */
export function dueEndpoints({ wireguard }: QuickFile, status: DeviceStatus, now: number): DueEndpoint[] {
  const peers = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  return wireguard.peers.flatMap(({ publicKey, endpoint }) => {
    const peer = peers.get(formatKeyHex(publicKey));
    if (!peer || !endpoint || endpoint instanceof Uint8Array || now - peer.lastHandshakeSeconds <= SILENCE) return [];
    const { lastHandshakeSeconds, rxBytes, txBytes } = peer;
    const counters = { wasHeard: lastHandshakeSeconds > 0, handshake: handshakeTime(peer), rxBytes, txBytes };
    return { publicKey, endpoint, ...counters, ...(peer.endpoint && { current: peer.endpoint }) };
  });
}

/** What was changed for a peer that answered at its old place in that very instant: it is put back. undefined for any other. */
export function movedBack(due: DueEndpoint, tried: Uint8Array, now: DeviceStatus): DeviceConfig | undefined {
  const { publicKey, current, handshake } = due;
  const key = formatKeyHex(publicKey);
  const peer = now.peers.find(each => formatKeyHex(each.publicKey) === key);
  // where it roamed to since then is right
  const isOverwritten = peer?.endpoint !== undefined && sameFarSide(peer.endpoint, tried);
  if (!current || !peer || !isOverwritten || handshakeTime(peer) === handshake) return undefined;
  return { peers: [{ publicKey, updateOnly: true, endpoint: current }] };
}

function handshakeTime({ lastHandshakeSeconds, lastHandshakeNanoseconds }: PeerStatus): string {
  return `${lastHandshakeSeconds} ${lastHandshakeNanoseconds}`;
}

/**
 * The configuration for a device that runs already, in which a peer whose endpoint has the same name as before stays where it is: it may have
 * roamed, or be at another of the name's addresses, and the watch looks after it.
 * @param wanted what `file` says, its names resolved
 */
export function withCurrentEndpoints(
  wanted: DeviceConfig,
  file: QuickFile,
  before: QuickFile,
  status: DeviceStatus,
): DeviceConfig {
  const names = (each: QuickFile) =>
    new Map(
      each.wireguard.peers.flatMap(({ publicKey, endpoint }) =>
        endpoint && !(endpoint instanceof Uint8Array)
          ? [[formatKeyHex(publicKey), `${endpoint.host}:${endpoint.port}`]]
          : [],
      ),
    );
  const [now, then] = [names(file), names(before)];
  const places = new Map(status.peers.map(({ publicKey, endpoint }) => [formatKeyHex(publicKey), endpoint]));
  const peers = wanted.peers?.map(peer => {
    const key = formatKeyHex(peer.publicKey);
    const place = now.has(key) && now.get(key) === then.get(key) ? places.get(key) : undefined;
    return place ? { ...peer, endpoint: place } : peer;
  });
  return peers ? { ...wanted, peers } : wanted;
}

/** What the device is to be told; undefined if the name still means where it is thought to be. */
export function movedTo({ publicKey, current }: DueEndpoint, found: Uint8Array): DeviceConfig | undefined {
  if (current && sameFarSide(current, found)) return undefined;
  return { peers: [{ publicKey, updateOnly: true, endpoint: found }] };
}
