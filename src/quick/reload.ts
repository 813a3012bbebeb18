/**
 * Brings an interface that is up to the current content of its file. Changes only the differences,
 * so that sessions survive. Hooks do not run, and their settings stay. If a peer's Endpoint is
 * unchanged in the file, the peer keeps its current endpoint, because it may have roamed.
 */
import { formatEndpoint } from '../base/endpoint.ts';
import { formatKeyBase64 } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { Applier } from './apply.ts';
import { differences } from './differences.ts';
import type { QuickFile } from './file.ts';
import { everything } from './merge-settings.ts';
import { planFor } from './planning.ts';
import type { QuickHost, UpTarget } from './ports.ts';
import { notWireguard } from './problem.ts';
import type { QuickState } from './state.ts';
import type { Step } from './step.ts';

export interface ReloadPlan {
  readonly state: QuickState;
  readonly steps: readonly Step[];
  /** The differences, for people; empty if the interface matches its file. */
  readonly differences: readonly string[];
}

/**
 * Plans a reload without changing anything.
 * @throws Error: `code` ENODEV if the interface is not up or its process is dead
 */
export async function planReload(host: QuickHost, target: UpTarget): Promise<ReloadPlan> {
  const { file, path } = target;
  const before = host.readState(file.name);
  // Only `up` makes a new device, because a new device needs its hooks.
  const status = await host.devices.status(file.name);
  const link = await host.network.links.find(file.name);
  if (before?.phase !== 'up' || !status || !link) throw notWireguard(file.name);
  const endpoints = endpointsOf(file);
  const version = target.version === undefined ? {} : { fileVersion: target.version };
  const state = { ...before, file: path, endpoints, ...version };
  const backend = before.backend ?? (await host.devices.choose());
  const resolve = async () => withPlaces(await target.resolve(), endpoints, before.endpoints ?? [], status);
  const input = { ...target, resolve, backend, before: { configured: everything(status), ...before } };
  const steps = await planFor(host, input);
  return { state, steps, differences: differences(steps, { status, mtu: link.mtu, state: before }) };
}

/**
 * Applies the plan of a reload.
 * @throws the errors of planReload, or the error of a failed step; the next reload continues from
 * there
 */
export async function applyReload(host: QuickHost, { state, steps }: ReloadPlan, target: UpTarget): Promise<void> {
  const applier = new Applier(host, state, {
    interrupted: target.interrupted,
    afterwards: 'the completed steps stay, and the next reload does the rest',
  });
  try {
    await applier.run(steps);
  } finally {
    await new Applier(host, applier.state).run([{ do: 'remember', change: { phase: 'up' } }]);
  }
}

export async function reload(host: QuickHost, target: UpTarget): Promise<void> {
  await applyReload(host, await planReload(host, target), target);
}

/** Returns the endpoints of the file in the form that the state records. */
export function endpointsOf({ wireguard }: QuickFile): string[] {
  return wireguard.peers.flatMap(({ publicKey, endpoint }) => {
    if (!endpoint) return [];
    const place = endpoint instanceof Uint8Array ? formatEndpoint(endpoint) : `${endpoint.host}:${endpoint.port}`;
    return [`${formatKeyBase64(publicKey)} ${place}`];
  });
}

function withPlaces(
  wanted: DeviceConfig,
  now: readonly string[],
  before: readonly string[],
  status: DeviceStatus,
): DeviceConfig {
  if (!wanted.peers) return wanted;
  const unchanged = new Set(now.filter(each => before.includes(each)).map(each => each.split(' ')[0]!));
  const places = new Map(status.peers.map(({ publicKey, endpoint }) => [formatKeyBase64(publicKey), endpoint]));
  const peers = wanted.peers.map(peer => {
    const key = formatKeyBase64(peer.publicKey);
    const place = unchanged.has(key) ? places.get(key) : undefined;
    return place ? { ...peer, endpoint: place } : peer;
  });
  return { ...wanted, peers };
}
