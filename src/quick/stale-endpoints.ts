/**
 * Decides which endpoint names to resolve again. A name is due if its peer's last handshake is
 * older than a session in use can be, because the peer may have moved. (The kernel's documentation
 * has a cron script for this, reresolve-dns.sh, with the same timeout.)
 */
import { sameFarSide } from '../base/endpoint.ts';
import { formatKeyHex } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus, PeerStatus } from '../config/model.ts';
import type { HostEndpoint } from '../config/values.ts';
import type { QuickFile } from './file.ts';

export interface DueEndpoint {
  readonly publicKey: Uint8Array;
  readonly endpoint: HostEndpoint;
  /** The endpoint in use. */
  readonly current?: Uint8Array;
  /** Whether the peer ever had a session. */
  readonly wasHeard: boolean;
  /** The time of the last handshake, in a form that can be compared. */
  readonly handshake?: string;
  readonly rxBytes?: number;
  readonly txBytes?: number;
}

/**
 * REKEY_AFTER_TIME (120 s) and 15 s for the new handshake, as in reresolve-dns.sh. A session in use
 * begins a new handshake earlier.
 */
const HANDSHAKE_STALE_S = 135;

/**
 * Returns the peers with an endpoint name whose last handshake is too old. @param now Unix time,
 * seconds
 */
export function dueEndpoints({ wireguard }: QuickFile, status: DeviceStatus, now: number): DueEndpoint[] {
  const peers = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  return wireguard.peers.flatMap(({ publicKey, endpoint }) => {
    const peer = peers.get(formatKeyHex(publicKey));
    if (!peer || !endpoint || endpoint instanceof Uint8Array || now - peer.lastHandshakeSeconds <= HANDSHAKE_STALE_S)
      return [];
    const { lastHandshakeSeconds, rxBytes, txBytes } = peer;
    const counters = { wasHeard: lastHandshakeSeconds > 0, handshake: handshakeTime(peer), rxBytes, txBytes };
    return { publicKey, endpoint, ...counters, ...(peer.endpoint && { current: peer.endpoint }) };
  });
}

/**
 * Returns the configuration that undoes a move, for a peer that answered at its old endpoint while
 * its endpoint was being changed. Returns undefined for any other peer.
 */
export function movedBack(due: DueEndpoint, tried: Uint8Array, now: DeviceStatus): DeviceConfig | undefined {
  const { publicKey, current, handshake } = due;
  const key = formatKeyHex(publicKey);
  const peer = now.peers.find(each => formatKeyHex(each.publicKey) === key);
  // If the endpoint is not `tried`, the peer has roamed since then, and its endpoint is right.
  const isOverwritten = peer?.endpoint !== undefined && sameFarSide(peer.endpoint, tried);
  if (!current || !peer || !isOverwritten || handshakeTime(peer) === handshake) return undefined;
  return { peers: [{ publicKey, updateOnly: true, endpoint: current }] };
}

function handshakeTime({ lastHandshakeSeconds, lastHandshakeNanoseconds }: PeerStatus): string {
  return `${lastHandshakeSeconds} ${lastHandshakeNanoseconds}`;
}

/**
 * Returns the configuration for a running device. A peer keeps its endpoint if the name of the
 * endpoint is unchanged: the peer may have roamed, or use another address of the name. The watch
 * resolves such names again.
 * @param wanted the configuration of `file`, with names resolved
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

/**
 * Returns the configuration to apply. Returns undefined if the name still resolves to the endpoint
 * in use.
 */
export function movedTo({ publicKey, current }: DueEndpoint, found: Uint8Array): DeviceConfig | undefined {
  if (current && sameFarSide(current, found)) return undefined;
  return { peers: [{ publicKey, updateOnly: true, endpoint: found }] };
}
