/**
 * What a device is to be when a file comes to what PreUp set on it: as `wg addconf` has it, the file's settings are added, and what the
 * file does not say stays. When the file changes, only what an earlier version of it said goes. Pure.
 */
import { formatKeyBase64 } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
import type { Configured } from './state.ts';

export interface Addition {
  /** All that the device is to be; a default route's mark is not decided here. */
  readonly config: DeviceConfig;
  /** Those that get routes: the file's peers, and those that PreUp made. What other hooks and people made routes for is theirs. */
  readonly routed: readonly PeerConfig[];
  /** The mark that a hook set; 0 if none did. */
  readonly mark: number;
  /** To be remembered. */
  readonly configured: Omit<Configured, 'mark'>;
}

type Setting = 'preshared-key' | 'keepalive' | 'allowed-ips';
type Settings = ReadonlyMap<string, ReadonlySet<string>>;

const ALL: readonly Setting[] = ['preshared-key', 'keepalive', 'allowed-ips'];

/** @param before what earlier versions of the file said; undefined for a device that no file came to yet */
export function addition(wanted: DeviceConfig, status: DeviceStatus, before: Configured | undefined): Addition {
  const peers = wanted.peers ?? [];
  const said = settingsOf(peers);
  const earlier = parseSettings(before?.peers ?? []);
  const there = new Map(status.peers.map(peer => [formatKeyBase64(peer.publicKey), peer]));
  const found = before?.found ?? [...there.keys()];
  const isFound = new Set(found);
  const others = [...there].filter(([key]) => !said.has(key) && (isFound.has(key) || !earlier.has(key)));
  const stays = (key: string) => (setting: Setting) => !said.get(key)!.has(setting) && !earlier.get(key)?.has(setting);
  const both = [...there].filter(([key]) => said.has(key));
  const filled = [
    // what they keep comes before what the file says: a prefix is the last one's that asks for it
    ...both.map(([key, peer]) => kept(peer, stays(key))).filter(peer => Object.keys(peer).length > 1),
    ...peers.map(peer => {
      const key = formatKeyBase64(peer.publicKey);
      return there.has(key) && stays(key)('allowed-ips') ? { ...peer, replaceAllowedIps: false } : peer;
    }),
  ];
  const privateKey = wanted.privateKey ?? status.privateKey;
  const all = ([, peer]: readonly [string, PeerStatus]) => ({ replaceAllowedIps: true, ...kept(peer, () => true) });
  return {
    config: { ...wanted, ...(privateKey && { privateKey }), peers: [...others.map(all), ...filled] },
    routed: [...others.filter(([key]) => isFound.has(key)).map(all), ...filled],
    mark: before?.mark ? 0 : status.fwmark,
    configured: { peers: [...said].map(([key, settings]) => [key, ...settings].join(' ')), found },
  };
}

/** Of a device whose file was not noted: all that it has is taken for the file's. */
export function everything({ peers }: DeviceStatus): Configured {
  return { mark: true, peers: peers.map(({ publicKey }) => [formatKeyBase64(publicKey), ...ALL].join(' ')), found: [] };
}

/** Settings of a peer as it is. */
function kept(
  { publicKey, presharedKey, persistentKeepalive, allowedIps }: PeerStatus,
  stays: (setting: Setting) => boolean,
): PeerConfig {
  return {
    publicKey,
    ...(presharedKey && stays('preshared-key') && { presharedKey }),
    ...(persistentKeepalive > 0 && stays('keepalive') && { persistentKeepalive }),
    ...(allowedIps.length > 0 && stays('allowed-ips') && { allowedIps: allowedIps.map(prefix => ({ prefix })) }),
  };
}

/** Which settings a file has, by the peer's public key; its entries may be several. */
function settingsOf(peers: readonly PeerConfig[]): Settings {
  const all = new Map<string, Set<Setting>>();
  for (const { publicKey, presharedKey, persistentKeepalive, allowedIps = [], replaceAllowedIps } of peers) {
    const key = formatKeyBase64(publicKey);
    const settings = all.get(key) ?? new Set();
    all.set(key, settings);
    if (presharedKey) settings.add('preshared-key');
    if (persistentKeepalive !== undefined) settings.add('keepalive');
    if (allowedIps.length > 0 || !replaceAllowedIps) settings.add('allowed-ips');
  }
  return all;
}

/** Of what is remembered; a key may stand there twice, with what two versions of the file said. */
function parseSettings(lines: readonly string[]): Settings {
  const all = new Map<string, Set<string>>();
  for (const line of lines) {
    const [key, ...settings] = line.split(' ');
    all.set(key!, new Set([...(all.get(key!) ?? []), ...settings]));
  }
  return all;
}
