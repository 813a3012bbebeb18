/**
 * Begins fresh handshakes with peers that may have lost their session with us. Felix and this agent
 * remove a peer when its key disappears from its Node, and add it again when the key returns. If
 * our key was absent for a moment, our peers have no session with us any more, but we still have
 * ours. They drop what we send, until 15 s without a reply have passed.
 *
 * Our own devices begin a handshake while the session continues, until the new one is confirmed.
 * The kernel and other programs have no request for that. There, one request removes the peer and
 * adds it again with a keepalive, which begins the handshake. As far as we can tell, this only ends
 * sessions that are live on our side alone.
 */
import { makeEndpoint } from '../../../base/endpoint.ts';
import { formatKeyBase64 } from '../../../base/key.ts';
import { ConfigError } from '../../../config/errors.ts';
import type { DeviceConfig, PeerConfig, PeerStatus } from '../../../config/model.ts';
import type { DeviceKind } from '../../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

export interface HandshakeRefresh {
  /** Milliseconds since our key returned to our Node. */
  readonly restoredAgoMs: number;
  /** Whether this is the second attempt: the first may have come before peers saw the change. */
  readonly isSecondAttempt: boolean;
}

/** Upper bound of peers per request. */
export const PEERS_PER_REQUEST = 64;
/** Pause between requests: limits the rate to 640 handshakes a second, even in a large cluster. */
export const REQUEST_PAUSE_MS = 100;
/** How long peers may take to see that our key is back. A handshake before that may be void. */
const PEER_DELAY_MS = 1_000;
const LONGEST_KEEPALIVE_S = 65_535;

/**
 * Returns the peers that need a new handshake: peers with traffic, but without a handshake since
 * our key returned.
 * @param now Unix time in milliseconds
 */
export function peersToRefresh(
  { peers: wanted }: DesiredTunnel,
  status: readonly PeerStatus[],
  { restoredAgoMs, isSecondAttempt }: HandshakeRefresh,
  backend: DeviceKind,
  now: number,
): readonly DesiredPeer[] {
  // On the kernel's device, the first attempt's handshake counts: removing the peer again could end
  // the new session.
  const since = now - restoredAgoMs + (isSecondAttempt && backend !== 'kernel' ? PEER_DELAY_MS : 0);
  return status.flatMap(({ publicKey, lastHandshakeSeconds, lastHandshakeNanoseconds, rxBytes, txBytes }) => {
    const handshake = lastHandshakeSeconds * 1000 + lastHandshakeNanoseconds / 1e6;
    const peer = wanted.get(formatKeyBase64(publicKey));
    // A peer without traffic has no session to lose: its first packet begins one.
    return peer && rxBytes + txBytes > 0 && handshake < since ? [peer] : [];
  });
}

/** Begins a handshake with each of these peers. */
export async function refreshHandshakes(
  { host }: ApplyContext,
  { interfaceName }: DesiredTunnel,
  backend: DeviceKind,
  peers: readonly DesiredPeer[],
): Promise<void> {
  if (peers.length === 0) return;
  host.log(
    `device ${interfaceName}: beginning new handshakes with ${peers.length} peer(s), because our key was absent`,
  );
  const configure = (config: DeviceConfig): Promise<void> => host.devices.configure(interfaceName, config);
  if (backend !== 'kernel')
    try {
      await configure({ peers: peers.map(({ publicKey }) => ({ publicKey, updateOnly: true, initiate: true })) });
      return;
    } catch (error) {
      // Another program, or an older version of our device, does not know `initiate`.
      if (!(error instanceof ConfigError) || error.code !== 'refused') throw error;
    }
  await configure({ peers: peers.flatMap(peer => [{ publicKey: peer.publicKey, remove: true }, recreatedPeer(peer)]) });
  const quiet = peers.filter(({ persistentKeepalive }) => persistentKeepalive === 0);
  if (quiet.length === 0) return;
  await configure({ peers: quiet.map(({ publicKey }) => ({ publicKey, updateOnly: true, persistentKeepalive: 0 })) });
}

function recreatedPeer(peer: DesiredPeer): PeerConfig {
  return {
    publicKey: peer.publicKey,
    endpoint: makeEndpoint(peer.endpointAddress, peer.endpointPort),
    persistentKeepalive: peer.persistentKeepalive || LONGEST_KEEPALIVE_S,
    replaceAllowedIps: true,
    allowedIps: peer.allowedIps.map(prefix => ({ prefix })),
  };
}
