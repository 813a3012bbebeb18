/**
 * Configures the WireGuard device (docs/reference/calico-felix.md#private-key, #device,
 * #peer-settings): private key, port, mark and peers. Only differences are configured. The sessions
 * of unchanged peers, and of peers that only get another prefix, therefore continue. A peer that
 * roamed is set back to its planned endpoint.
 */

import { copySecret, sameBytes } from '../../../base/bytes.ts';
import { codedError } from '../../../base/coded-error.ts';
import { makeEndpoint } from '../../../base/endpoint.ts';
import { formatKeyBase64, isZeroKey } from '../../../base/key.ts';
import { samePrefix } from '../../../base/prefix.ts';
import { changedKeys } from '../../../base/versioned-map.ts';
import { difference } from '../../../config/diff.ts';
import {
  type DeviceConfig,
  type DeviceStatus,
  eraseStatus,
  type PeerConfig,
  type PeerStatus,
} from '../../../config/model.ts';
import type { DeviceKind } from '../../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../../model/desired.ts';
import type { ApplyContext } from '../ports.ts';

const LONGEST_KEEPALIVE_S = 65_535;

/**
 * Reads the device and configures what differs from the plan.
 * @returns the device's public key in base64
 */
export async function ensureDevice(context: ApplyContext, tunnel: DesiredTunnel, backend: DeviceKind): Promise<string> {
  const status = await read(context, tunnel.interfaceName);
  const { key, isNew } = privateKey(context, status);
  try {
    const own = status.privateKey && status.publicKey ? formatKeyBase64(status.publicKey) : undefined;
    const change = difference(wholeConfig(tunnel, key, own), status, removesPrefixes(backend));
    if (Object.keys(change).length === 0 && own !== undefined) return own;
    await configure(context, tunnel.interfaceName, change);
    if (own !== undefined && !change.privateKey) return own;
    if (!isNew) await forceHandshakes(context, tunnel.interfaceName, change.peers ?? []);
  } finally {
    key.fill(0);
    eraseStatus(status);
  }
  const after = await read(context, tunnel.interfaceName);
  eraseStatus(after);
  if (after.publicKey) return formatKeyBase64(after.publicKey);
  throw codedError('EPROTO', `${tunnel.interfaceName} accepted a private key but reports none: restart its process`);
}

/** Configures what differs from the tunnel configured before, without reading the device. */
export async function updateDevice(
  context: ApplyContext,
  before: DesiredTunnel,
  tunnel: DesiredTunnel,
  backend: DeviceKind,
  own: string,
): Promise<void> {
  const changed = new Set(changedKeys(before.peers, tunnel.peers));
  for (const key of changed) {
    const previous = before.peers.get(key);
    if (previous && samePeer(previous, tunnel.peers.get(key))) changed.delete(key);
  }
  changed.delete(own);
  const { listenPort, mark: fwmark } = before;
  const previous = [...changed].flatMap(key => before.peers.get(key) ?? []);
  const wanted = [...changed].flatMap(key => tunnel.peers.get(key) ?? []);
  const config = { listenPort: tunnel.listenPort, fwmark: tunnel.mark, peers: wanted.map(peerConfig) };
  const status = { listenPort, fwmark, peers: previous.map(peerStatus) };
  const change = difference(config, status, removesPrefixes(backend));
  if (Object.keys(change).length > 0) await configure(context, tunnel.interfaceName, change);
}

export function samePeer(a: DesiredPeer, b: DesiredPeer | undefined): boolean {
  if (a === b) return true;
  return (
    b !== undefined &&
    a.endpointPort === b.endpointPort &&
    a.persistentKeepalive === b.persistentKeepalive &&
    sameBytes(a.endpointAddress, b.endpointAddress) &&
    a.allowedIps.length === b.allowedIps.length &&
    a.allowedIps.every((prefix, i) => samePrefix(prefix, b.allowedIps[i]!))
  );
}

/**
 * Returns our stored key. If none is stored, takes the device's key, so that the loss of the file
 * does not change the key. If the device has no key either, generates one.
 */
function privateKey(
  { host, family, recordChange }: ApplyContext,
  status: DeviceStatus,
): { readonly key: Uint8Array; readonly isNew: boolean } {
  const kept = host.keys.load(family);
  if (kept) return { key: kept, isNew: false };
  const has = status.privateKey;
  const key = has && !isZeroKey(has) ? copySecret(has) : host.keys.generate();
  recordChange(`private key of IPv${family}: ${has ? 'taken from the device' : 'generated'}`);
  host.keys.save(family, key);
  return { key, isNew: !has };
}

/**
 * Begins a handshake with each of these peers at once. A peer that had a session with the previous
 * device would otherwise keep using that session for 15 s, until it misses a reply. Every backend
 * begins a handshake when a keepalive is switched on; no other request works with all of them.
 */
async function forceHandshakes({ host }: ApplyContext, name: string, peers: readonly PeerConfig[]): Promise<void> {
  const withoutKeepalive = peers.filter(({ remove, persistentKeepalive }) => !remove && !persistentKeepalive);
  if (withoutKeepalive.length === 0) return;
  for (const persistentKeepalive of [LONGEST_KEEPALIVE_S, 0])
    await host.devices.configure(name, {
      peers: withoutKeepalive.map(({ publicKey }) => ({ publicKey, updateOnly: true, persistentKeepalive })),
    });
}

async function read({ host }: ApplyContext, name: string): Promise<DeviceStatus> {
  const status = await host.devices.status(name);
  if (status) return status;
  throw codedError('ENODEV', `${name} does not answer: its process ended or hangs`);
}

async function configure({ host, recordChange }: ApplyContext, name: string, config: DeviceConfig): Promise<void> {
  recordChange(`device ${name}: ${describe(config)}`);
  await host.devices.configure(name, config);
}

function wholeConfig(tunnel: DesiredTunnel, key: Uint8Array, own: string | undefined): DeviceConfig {
  const peers = [...tunnel.peers].filter(([publicKey]) => publicKey !== own).map(([, peer]) => peerConfig(peer));
  return { privateKey: key, listenPort: tunnel.listenPort, fwmark: tunnel.mark, peers };
}

function peerConfig(peer: DesiredPeer): PeerConfig {
  const { publicKey, endpointAddress, endpointPort, persistentKeepalive, allowedIps } = peer;
  return {
    publicKey,
    endpoint: makeEndpoint(endpointAddress, endpointPort),
    persistentKeepalive,
    replaceAllowedIps: true,
    allowedIps: allowedIps.map(prefix => ({ prefix })),
  };
}

function peerStatus(peer: DesiredPeer): PeerStatus {
  const { publicKey, endpointAddress, endpointPort, persistentKeepalive, allowedIps } = peer;
  const counted = { lastHandshakeSeconds: 0, lastHandshakeNanoseconds: 0, rxBytes: 0, txBytes: 0 };
  return {
    publicKey,
    endpoint: makeEndpoint(endpointAddress, endpointPort),
    persistentKeepalive,
    allowedIps,
    ...counted,
  };
}

/**
 * Returns whether to remove allowed IPs one by one instead of replacing a peer's list. The kernel
 * sends packets while it carries out a request, so a list must not be empty in between. Userspace
 * devices replace the list at once.
 */
function removesPrefixes(backend: DeviceKind): boolean {
  return backend === 'kernel';
}

function describe({ privateKey, listenPort, fwmark, peers = [] }: DeviceConfig): string {
  const gone = peers.filter(({ remove }) => remove).length;
  return [
    ...(privateKey ? ['private key'] : []),
    ...(listenPort === undefined ? [] : [`port ${listenPort}`]),
    ...(fwmark === undefined ? [] : [`mark 0x${fwmark.toString(16)}`]),
    ...(peers.length > gone ? [`${peers.length - gone} peer(s) set`] : []),
    ...(gone > 0 ? [`${gone} peer(s) removed`] : []),
  ].join(', ');
}
