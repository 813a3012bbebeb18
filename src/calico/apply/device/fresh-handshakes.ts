/**
 * Begins fresh handshakes with peers that may have lost their session with us. Felix and this agent
 * remove and re-add a peer whose key was absent for a moment. Such a peer has no session any more,
 * while ours continues, and drops what we send until 15 s without a reply have passed.
 *
 * Our own devices begin a handshake beside the session, which lives on until the new one is
 * confirmed. The kernel and other programs have no request for that: there, one request removes the
 * peer and re-adds it with a keepalive, which begins the handshake. As far as we can tell, this
 * only ends sessions that are live on our side alone.
 */
import { makeEndpoint } from '../../../base/endpoint.ts';
import { formatKeyBase64 } from '../../../base/key.ts';
import { ConfigError } from '../../../config/errors.ts';
import type { DeviceConfig, PeerConfig, PeerStatus } from '../../../config/model.ts';
import type { DeviceKind } from '../../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

export interface HandshakeRefresh {
  /** Milliseconds since our key is back on our Node. */
  readonly restoredAgoMs: number;
  /** The first attempt may have come before peers saw the change. */
  readonly isSecondAttempt: boolean;
}

/** Upper bound of peers per request. */
export const PEERS_PER_REQUEST = 64;
/** Pause between requests: at most 640 handshakes a second, whatever the size of the cluster. */
export const REQUEST_PAUSE_MS = 100;
/** How long peers may take to see that our key is back; an earlier handshake may be void. */
const PEER_DELAY_MS = 1_000;
const LONGEST_KEEPALIVE_S = 65_535;

/**
 * Returns the peers to begin handshakes with: those with traffic but no handshake since our key is
 * back.
 * @param now Unix time in milliseconds
 */
export function peersToRefresh(
  { peers: wanted }: DesiredTunnel,
  status: readonly PeerStatus[],
  { restoredAgoMs, isSecondAttempt }: HandshakeRefresh,
  backend: DeviceKind,
  now: number,
): readonly DesiredPeer[] {
  // Removing a peer twice could end the session that the first attempt began.
  const since = now - restoredAgoMs + (isSecondAttempt && backend !== 'kernel' ? PEER_DELAY_MS : 0);
  return status.flatMap(({ publicKey, lastHandshakeSeconds, lastHandshakeNanoseconds, rxBytes, txBytes }) => {
    const handshake = lastHandshakeSeconds * 1000 + lastHandshakeNanoseconds / 1e6;
    const peer = wanted.get(formatKeyBase64(publicKey));
    // Without traffic there is no session to lose: the first packet begins one.
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
      // Another program, or an older version of ours, does not know `initiate`.
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
