/**
 * Collects the input of a plan for `up` or reload: resolved names, the state of the kernel and of
 * the device, and the limits of this machine.
 */
import { formatKeyHex } from '../base/key.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import type { QuickFile } from './file.ts';
import { lacksIpv6, withoutIpv6 } from './ipv6.ts';
import { chooseMark } from './mark.ts';
import { addition } from './merge-settings.ts';
import { chooseMtu, findMtu } from './mtu.ts';
import { planUp } from './plan-up.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';
import { strictUplinks } from './reverse-path.ts';
import { readSnapshot } from './snapshot.ts';
import type { DeviceKind, QuickState } from './state.ts';
import type { Step } from './step.ts';

export interface PlanInput {
  readonly file: QuickFile;
  /** Returns the file's device configuration, with endpoint names resolved. */
  readonly resolve: () => Promise<DeviceConfig>;
  readonly backend: DeviceKind;
  /** The recorded state. The interface must exist. */
  readonly before: QuickState;
}

/**
 * Plans the steps for an interface that exists. @throws Error: `code` ENODEV if the interface was
 * removed during this `up`
 */
export async function planFor(host: QuickHost, { file, resolve, backend, before }: PlanInput): Promise<Step[]> {
  const fromFile = await resolve();
  const now = await readSnapshot(host, file.name);
  if (!now.link || !now.status)
    throw problem(
      'ENODEV',
      `interface ${file.name} is gone: a hook or another program removed it, or its process ended`,
    );
  const { config, routed, mark, configured } = addition(fromFile, now.status, before.configured);
  const own = fromFile.fwmark ?? mark;
  const wanted = { ...config, fwmark: own };
  const asked = { fwmark: own, peers: routed };
  const lacking = await lacksIpv6(host, file, asked, now.link);
  const heard = lacking ? routed.map(withoutIpv6) : routed;
  const table = await chooseMark(host, file, { ...asked, peers: heard }, now, before);
  const endpoints = endpointsOf(wanted, now.status);
  const found = await findMtu(host.network, {
    endpoints,
    mark: table,
    link: now.link.index,
    more: countEndpoints(file.wireguard) > countEndpoints(fromFile),
  });
  const mtu = chooseMtu(file, lacking ? undefined : asked, found, text => host.warn(text));
  const strict = now.markValid === '0' ? await strictUplinks(host, endpoints, table, file.name) : [];
  const isMarked = fromFile.fwmark === undefined && mark !== 0;
  const device = { wanted, routed, configured, isMarked };
  return planUp({ ...device, file, backend, table, mtu, lacksIpv6: lacking, strict, before, now });
}

/** Returns the endpoints of the file and of the peers that PreUp made. */
function endpointsOf({ peers = [] }: DeviceConfig, status: DeviceStatus): Uint8Array[] {
  const there = new Map(status.peers.map(({ publicKey, endpoint }) => [formatKeyHex(publicKey), endpoint]));
  return peers.flatMap(({ publicKey, endpoint }) => endpoint ?? there.get(formatKeyHex(publicKey)) ?? []);
}

function countEndpoints({ peers = [] }: { readonly peers?: readonly { readonly endpoint?: unknown }[] }): number {
  return peers.filter(({ endpoint }) => endpoint !== undefined).length;
}
