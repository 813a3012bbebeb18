/**
 * Adopts an interface whose process died (`wireguard-ts --persist`): link, addresses, routes,
 * rules, DNS and firewall are still there. A new process takes the link, and gets its configuration
 * again. It has no session, so all peers get a handshake at once. Pure.
 */
import { formatEndpoint, parseEndpoint } from '../base/endpoint.ts';
import { formatKeyBase64 } from '../base/key.ts';
import type { DeviceConfig, PeerConfig } from '../config/model.ts';
import type { Link } from '../netlink/links.ts';
import { isOrphan } from '../netlink/orphan.ts';
import type { HookEvent, QuickFile } from './file.ts';
import type { QuickState } from './state.ts';

/** Appended to the error of an adoption that failed. */
export const STAYS =
  'its link, addresses and routes stay, and nothing leaves in the clear: `wgts up` tries again, `wgts down` removes it';

/** A command that configures the device itself. Its effect ended with the process. */
const CONFIGURES = /(^|[\s;&|(/])(wg|wgts)\s+(set|setconf|addconf|syncconf)\s/;

/**
 * Reports whether a new process can take the link as it is. It does so although the kernel could
 * run a new interface (its module was loaded in the meantime), because the removal of the link
 * would let traffic leave in the clear. If a hook sets the private key in a way that is not visible
 * here, the interface must be made anew.
 */
export function isAdoptable(
  link: Link | undefined,
  before: QuickState | undefined,
  { file, version }: { readonly file: QuickFile; readonly version?: string },
): before is QuickState {
  if (!link || !isOrphan(link) || before?.backend !== 'userspace') return false;
  if (!file.wireguard.privateKey && !(['PreUp', 'PostUp'] as const).some(event => file.hooks[event].some(configures)))
    return false;
  return before.phase === 'up' || (before.phase === 'starting' && before.fileVersion === version);
}

/**
 * Returns the recorded state at the beginning of an adoption. Hooks that completed do not run
 * again, except those that configure the device.
 */
export function adoptionState(before: QuickState, file: QuickFile): QuickState {
  const { configured: _, made: _made, ...state } = before;
  const events: readonly HookEvent[] = ['PreUp', 'PostUp'];
  const done = events.flatMap(event =>
    file.hooks[event].flatMap((command, index) => (configures(command) ? [] : [`${event} ${index}`])),
  );
  const hooksDone = before.phase === 'up' ? done : done.filter(key => before.hooksDone.includes(key));
  return { ...state, phase: 'starting', adopting: true, hooksDone };
}

/** Returns the file's configuration with the endpoints that the device had, without any lookup. */
export function withKnownEndpoints({ wireguard }: QuickFile, known: ReadonlyMap<string, Uint8Array>): DeviceConfig {
  const peers = wireguard.peers.map(({ endpoint, endpointLine: _, ...peer }): PeerConfig => {
    const place = known.get(formatKeyBase64(peer.publicKey)) ?? (endpoint instanceof Uint8Array ? endpoint : undefined);
    return place ? { ...peer, endpoint: place } : peer;
  });
  return { ...wireguard, peers };
}

/** Adds a handshake to each peer that has an endpoint. */
export function initiating(config: DeviceConfig): DeviceConfig {
  const { peers } = config;
  if (!peers) return config;
  return { ...config, peers: peers.map(peer => (peer.endpoint && !peer.remove ? { ...peer, initiate: true } : peer)) };
}

/** Returns the endpoints of a configuration in the form that the state records. */
export function formatResolved({ peers = [] }: DeviceConfig): string[] {
  return peers.flatMap(({ publicKey, endpoint }) =>
    endpoint ? [`${formatKeyBase64(publicKey)} ${formatEndpoint(endpoint)}`] : [],
  );
}

/** Returns the recorded endpoints by key (base64). */
export function parseResolved(recorded: readonly string[] = []): Map<string, Uint8Array> {
  return new Map(
    recorded.flatMap(line => {
      const [key = '', place = ''] = line.split(' ');
      const endpoint = parseEndpoint(place);
      return endpoint ? [[key, endpoint] as const] : [];
    }),
  );
}

function configures(command: string): boolean {
  return CONFIGURES.test(command);
}
