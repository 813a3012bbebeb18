/**
 * Merges a file's settings with those that PreUp made on the device. As with `wg addconf`, the
 * file's settings are added, and settings that the file does not mention stay. After a change of
 * the file, settings are removed only if an earlier version of the file had them. Pure.
 */
import { formatKeyBase64 } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
import type { Configured } from './state.ts';

export interface Addition {
  /**
   * The complete desired configuration. The mark of a default route is chosen elsewhere (mark.ts).
   */
  readonly config: DeviceConfig;
  /**
   * Peers that get routes: those of the file and those that PreUp made. Routes for all other peers
   * belong to the hooks and people that made the peers.
   */
  readonly routed: readonly PeerConfig[];
  /** The mark that a hook set; 0 if no hook set one. */
  readonly mark: number;
  /** The part to record in the state. */
  readonly configured: Omit<Configured, 'mark'>;
}

type Setting = 'preshared-key' | 'keepalive' | 'allowed-ips';
type Settings = ReadonlyMap<string, ReadonlySet<string>>;

const ALL: readonly Setting[] = ['preshared-key', 'keepalive', 'allowed-ips'];

/**
 * Returns the desired configuration: the file's settings, and those of hooks and people that stay.
 * @param before the configuration from earlier versions of the file; undefined if no file was
 * applied to this device yet
 */
export function addition(wanted: DeviceConfig, status: DeviceStatus, before: Configured | undefined): Addition {
  const peers = wanted.peers ?? [];
  const fromFile = settingsOf(peers);
  const earlier = parseSettings(before?.peers ?? []);
  const there = new Map(status.peers.map(peer => [formatKeyBase64(peer.publicKey), peer]));
  const found = before?.found ?? [...there.keys()];
  const isFound = new Set(found);
  const others = [...there].filter(([key]) => !fromFile.has(key) && (isFound.has(key) || !earlier.has(key)));
  const stays = (key: string) => (setting: Setting) =>
    !fromFile.get(key)!.has(setting) && !earlier.get(key)?.has(setting);
  const both = [...there].filter(([key]) => fromFile.has(key));
  const filled = [
    // Prefixes that peers keep come before those of the file, because the last peer that claims a
    // prefix gets it.
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
    configured: { peers: [...fromFile].map(([key, settings]) => [key, ...settings].join(' ')), found },
  };
}

/**
 * Attributes all settings of a device to the file, for a device whose state does not record the
 * file.
 */
export function everything({ peers }: DeviceStatus): Configured {
  return { mark: true, peers: peers.map(({ publicKey }) => [formatKeyBase64(publicKey), ...ALL].join(' ')), found: [] };
}

/** Returns the current settings of a peer as a configuration. */
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

/**
 * Returns, by public key, which settings the file has for each peer. A file may have several
 * entries for one key.
 */
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

/**
 * Parses recorded peers. A key may be recorded twice, with the settings of two versions of the
 * file.
 */
function parseSettings(lines: readonly string[]): Settings {
  const all = new Map<string, Set<string>>();
  for (const line of lines) {
    const [key, ...settings] = line.split(' ');
    all.set(key!, new Set([...(all.get(key!) ?? []), ...settings]));
  }
  return all;
}
