/**
 * Fresh handshakes with peers that may have lost their session with us. A peer that took us out and in again, as Felix and this agent do when our key
 * was absent for a moment, has none, while ours goes on: what we send into it is dropped there until 15 s without an answer have passed.
 *
 * Our own devices begin a handshake beside the session, which lives on until the new one is confirmed. The kernel and other programs have no request for
 * that: there the peer is removed and made anew in one request, with a keepalive that begins the handshake. That ends a session which is live on this side
 * alone, as far as can be known.
 */
import { makeEndpoint } from '../../../base/endpoint.ts';
import { formatKeyBase64 } from '../../../base/key.ts';
import { ConfigError } from '../../../config/errors.ts';
import type { DeviceConfig, PeerConfig, PeerStatus } from '../../../config/model.ts';
import type { BackendKind } from '../../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';

export interface HandshakeRefresh {
  /** Milliseconds since our key was on our Node again. */
  readonly restoredAgoMs: number;
  /** The second time: peers may have seen the change later than we greeted them. */
  readonly isSecondAttempt: boolean;
}

/** Peers that are greeted by one request. */
export const PEERS_PER_REQUEST = 64;
/** Milliseconds between requests: 640 handshakes a second at most, whatever the size of the cluster. */
export const REQUEST_PAUSE_MS = 100;
/** How long peers may take to see that our key is back, so that an earlier handshake with them may be void. */
const SETTLED_MS = 1_000;
const LONGEST_KEEPALIVE = 65_535;

/**
 * Returns the peers to greet: those that something was sent to or came from, without a handshake since.
 * @param now Unix time in milliseconds
 */
export function peersToRefresh(
  { peers: wanted }: DesiredTunnel,
  status: readonly PeerStatus[],
  { restoredAgoMs, isSecondAttempt }: HandshakeRefresh,
  backend: BackendKind,
  now: number,
): readonly DesiredPeer[] {
  // removing a peer twice could end the session of the first greeting
  const since = now - restoredAgoMs + (isSecondAttempt && backend !== 'kernel' ? SETTLED_MS : 0);
  return status.flatMap(({ publicKey, lastHandshakeSeconds, lastHandshakeNanoseconds, rxBytes, txBytes }) => {
    const handshake = lastHandshakeSeconds * 1000 + lastHandshakeNanoseconds / 1e6;
    const peer = wanted.get(formatKeyBase64(publicKey));
    // without any traffic there is no session: the first packet begins one by itself
    return peer && rxBytes + txBytes > 0 && handshake < since ? [peer] : [];
  });
}

/** Begins a handshake with each of these. */
export async function refreshHandshakes(
  { host }: Work,
  { interfaceName }: DesiredTunnel,
  backend: BackendKind,
  peers: readonly DesiredPeer[],
): Promise<void> {
  if (peers.length === 0) return;
  host.log(`device ${interfaceName}: a new handshake with ${peers.length} peer(s), since our key was absent`);
  const configure = (config: DeviceConfig): Promise<void> => host.devices.configure(interfaceName, config);
  if (backend !== 'kernel')
    try {
      await configure({ peers: peers.map(({ publicKey }) => ({ publicKey, updateOnly: true, initiate: true })) });
      return;
    } catch (error) {
      // another program, or one of ours from before this was known
      if (!(error instanceof ConfigError) || error.code !== 'refused') throw error;
    }
  await configure({ peers: peers.flatMap(peer => [{ publicKey: peer.publicKey, remove: true }, madeAnew(peer)]) });
  const quiet = peers.filter(({ persistentKeepalive }) => persistentKeepalive === 0);
  if (quiet.length === 0) return;
  await configure({ peers: quiet.map(({ publicKey }) => ({ publicKey, updateOnly: true, persistentKeepalive: 0 })) });
}

function madeAnew(peer: DesiredPeer): PeerConfig {
  return {
    publicKey: peer.publicKey,
    endpoint: makeEndpoint(peer.endpointAddress, peer.endpointPort),
    persistentKeepalive: peer.persistentKeepalive || LONGEST_KEEPALIVE,
    replaceAllowedIps: true,
    allowedIps: peer.allowedIps.map(prefix => ({ prefix })),
  };
}
