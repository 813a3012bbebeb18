/**
 * `wgts verify`: every two nodes of the cluster, and whether they are encrypted with each other, from the cluster; of the pairs of this node also what
 * its device says: who runs it, and when the last handshake was.
 */
import { formatKeyBase64, parseKeyBase64 } from '../../base/key.ts';
import { openDatastore } from '../../calico/agent/source.ts';
import type { Snapshot } from '../../calico/datastore/datastore.ts';
import { isInUse, pairs, standings } from '../../calico/plan/pairs.ts';
import type { PeerStatus } from '../../config/model.ts';
import type { Family } from '../../netlink/family.ts';
import { type Command, type Terminal, useBackend } from '../terminal.ts';
import { parseVerifyOptions } from './calico-options.ts';

const FAMILIES: readonly Family[] = [4, 6];
const PATIENCE = 20_000;

export interface VerifiedPair {
  readonly family: Family;
  readonly a: string;
  readonly b: string;
  readonly encrypted: boolean;
  /** `b: no-key`; empty where they are encrypted. */
  readonly because: readonly string[];
  /** Who runs the tunnel on this node, where one of the two is this node and the device is here. */
  readonly backend?: string;
  /** Unix time; 0 for never. Where the device is here. */
  readonly lastHandshake?: number;
}

/** What a device here says, by the key of its own. */
interface LocalDevice {
  readonly backend: string;
  readonly peers: ReadonlyMap<string, PeerStatus>;
}

export const verify: Command = async (args, terminal) => {
  const options = parseVerifyOptions(args, terminal);
  const { synced, stale, cluster, problems } = await firstSnapshot(options, terminal);
  if (!synced) throw new Error(`the cluster cannot be read: ${stale ?? 'no answer'}`);
  const devices = await localDevices(terminal);
  const found: VerifiedPair[] = [];
  for (const family of FAMILIES) {
    if (!isInUse(cluster, family)) continue;
    const nodes = standings(cluster, family);
    for (const { a, b, because } of pairs(nodes)) {
      const [here, there] = [nodes.get(a), nodes.get(b)];
      const one =
        localView(devices, here?.keyText, there?.keyText) ?? localView(devices, there?.keyText, here?.keyText);
      const reasons = because.map(({ node, reason }) => `${node}: ${reason}`);
      // what the cluster says is not enough where the device is here to ask
      if (one && reasons.length === 0 && !one.peer) reasons.push('the device here has no such peer');
      found.push({
        family,
        a,
        b,
        encrypted: reasons.length === 0,
        because: reasons,
        ...(one && { backend: one.backend, lastHandshake: one.peer?.lastHandshakeSeconds ?? 0 }),
      });
    }
  }
  const plaintext = found.some(({ encrypted }) => !encrypted) || (found.length === 0 && cluster.nodes.size > 1);
  if (options.json) terminal.out(`${JSON.stringify({ encrypted: !plaintext, pairs: found, problems }, null, 2)}\n`);
  else {
    terminal.out(table(found, terminal.now()));
    if (found.length === 0) terminal.out('WireGuard is on nowhere, and no node has a key: nothing is encrypted\n');
    for (const { object, reason, message } of problems) terminal.err(`${object}: ${reason}: ${message}\n`);
  }
  return plaintext ? 1 : 0;
};

async function firstSnapshot(options: ReturnType<typeof parseVerifyOptions>, terminal: Terminal): Promise<Snapshot> {
  const datastore = await openDatastore({ ...options, env: terminal.env, say: () => {} });
  try {
    return await new Promise<Snapshot>(resolve => {
      let last: Snapshot | undefined;
      const timer = setTimeout(() => last && resolve(last), PATIENCE);
      datastore.watch(snapshot => {
        last = snapshot;
        if (!snapshot.synced) return;
        clearTimeout(timer);
        resolve(snapshot);
      });
    });
  } finally {
    await datastore.close();
  }
}

/** Where there is no right to ask, or no device, nothing is known. */
async function localDevices(terminal: Terminal): Promise<Map<string, LocalDevice>> {
  const devices = new Map<string, LocalDevice>();
  await useBackend(terminal, async backend => {
    for (const name of await backend.list().catch(() => [])) {
      const status = await backend.get(name).catch(() => undefined);
      if (!status?.publicKey) continue;
      const peers = new Map(status.peers.map(peer => [formatKeyBase64(peer.publicKey), peer]));
      devices.set(formatKeyBase64(status.publicKey), { backend: (await backend.of(name)).kind, peers });
    }
  });
  return devices;
}

function localView(
  devices: ReadonlyMap<string, LocalDevice>,
  own: string | undefined,
  other: string | undefined,
): { backend: string; peer: PeerStatus | undefined } | undefined {
  const device = own === undefined || !parseKeyBase64(own) ? undefined : devices.get(own);
  return device && { backend: device.backend, peer: other === undefined ? undefined : device.peers.get(other) };
}

/** Columns as wide as what is in them. */
function table(found: readonly VerifiedPair[], now: number): string {
  if (found.length === 0) return '';
  const rows = found.map(({ family, a, b, encrypted, because, backend, lastHandshake }) => [
    `IPv${family}`,
    a,
    b,
    encrypted ? 'encrypted' : 'PLAINTEXT',
    backend ?? '-',
    handshake(lastHandshake, now),
    because.join(', '),
  ]);
  const all = [['FAMILY', 'NODE', 'NODE', 'STATE', 'BACKEND', 'HANDSHAKE', 'WHY NOT'], ...rows];
  const widths = all[0]!.map((_, i) => Math.max(...all.map(row => row[i]!.length)));
  return all
    .map(
      row =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function handshake(seconds: number | undefined, now: number): string {
  if (seconds === undefined) return '-';
  return seconds === 0 ? 'never' : `${Math.max(0, now - seconds)} s ago`;
}
