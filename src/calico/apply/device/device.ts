/**
 * The WireGuard device (docs/reference/calico-felix.md#private-key, #device, #peer-settings): private key, port, mark, and each peer by itself. Only what differs is said to it, so that
 * the sessions of all others, and of those that merely get another prefix, live on. A peer that moved (roamed) is brought back.
 */

import { codedError } from '../../../base/coded-error.ts';
import { makeEndpoint } from '../../../base/endpoint.ts';
import { copySecret, formatKeyBase64, isZeroKey } from '../../../base/key.ts';
import { samePrefix } from '../../../base/prefix.ts';
import { difference } from '../../../config/diff.ts';
import {
  type DeviceConfig,
  type DeviceStatus,
  eraseStatus,
  type PeerConfig,
  type PeerStatus,
} from '../../../config/model.ts';
import type { BackendKind } from '../../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../../model/desired.ts';
import type { Work } from '../ports.ts';

const LONGEST_KEEPALIVE = 65_535;

/** As the device is, and so shall be. @returns its public key, in base64 */
export async function ensureDevice(work: Work, tunnel: DesiredTunnel, backend: BackendKind): Promise<string> {
  const status = await read(work, tunnel.interfaceName);
  const { key, isNew } = privateKey(work, status);
  try {
    const own = status.privateKey && status.publicKey ? formatKeyBase64(status.publicKey) : undefined;
    const change = difference(wholeConfig(tunnel, key, own), status, removesPrefixes(backend));
    if (Object.keys(change).length === 0 && own !== undefined) return own;
    await configure(work, tunnel.interfaceName, change);
    if (own !== undefined && !change.privateKey) return own;
    if (!isNew) await greet(work, tunnel.interfaceName, change.peers ?? []);
  } finally {
    key.fill(0);
    eraseStatus(status);
  }
  const after = await read(work, tunnel.interfaceName);
  eraseStatus(after);
  if (after.publicKey) return formatKeyBase64(after.publicKey);
  throw codedError('EPROTO', `${tunnel.interfaceName} was given a private key, and says that it has none`);
}

/** From what it was told before to this; what somebody else did to it meanwhile is not looked for. */
export async function changeDevice(
  work: Work,
  before: DesiredTunnel,
  tunnel: DesiredTunnel,
  backend: BackendKind,
  own: string,
): Promise<void> {
  const changed = new Set<string>();
  for (const [key, peer] of before.peers) if (!samePeer(peer, tunnel.peers.get(key))) changed.add(key);
  for (const key of tunnel.peers.keys()) if (!before.peers.has(key)) changed.add(key);
  changed.delete(own);
  const { listenPort, mark: fwmark } = before;
  const told = [...changed].flatMap(key => before.peers.get(key) ?? []);
  const wanted = [...changed].flatMap(key => tunnel.peers.get(key) ?? []);
  const config = { listenPort: tunnel.listenPort, fwmark: tunnel.mark, peers: wanted.map(peerConfig) };
  const status = { listenPort, fwmark, peers: told.map(peerStatus) };
  const change = difference(config, status, removesPrefixes(backend));
  if (Object.keys(change).length > 0) await configure(work, tunnel.interfaceName, change);
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

/** That of our file; without one, that of the device, so that a lost file changes no key; or a new one. */
function privateKey(
  { host, family, change }: Work,
  status: DeviceStatus,
): { readonly key: Uint8Array; readonly isNew: boolean } {
  const kept = host.keys.load(family);
  if (kept) return { key: kept, isNew: false };
  const has = status.privateKey;
  const key = has && !isZeroKey(has) ? copySecret(has) : host.keys.generate();
  change(`private key of IPv${family}: ${has ? "kept from the device's" : 'made'}`);
  host.keys.save(family, key);
  return { key, isNew: !has };
}

/**
 * Peers that had a session with the device before this one would send into it until they miss an answer, 15 s on: a new handshake at once
 * ends that. A keepalive that begins sends one, and there is no other way to ask for it.
 */
async function greet({ host }: Work, name: string, peers: readonly PeerConfig[]): Promise<void> {
  const quiet = peers.filter(({ remove, persistentKeepalive }) => !remove && !persistentKeepalive);
  if (quiet.length === 0) return;
  for (const persistentKeepalive of [LONGEST_KEEPALIVE, 0])
    await host.devices.configure(name, {
      peers: quiet.map(({ publicKey }) => ({ publicKey, updateOnly: true, persistentKeepalive })),
    });
}

async function read({ host }: Work, name: string): Promise<DeviceStatus> {
  const status = await host.devices.status(name);
  if (status) return status;
  throw codedError('ENODEV', `${name} does not answer: its process ended or hangs`);
}

async function configure({ host, change }: Work, name: string, config: DeviceConfig): Promise<void> {
  change(`device ${name}: ${describe(config)}`);
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

/** Ours and other userspace devices fill a list anew within one request; the kernel sends packets while it is told. */
function removesPrefixes(backend: BackendKind): boolean {
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

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}
