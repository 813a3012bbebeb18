/**
 * Builds the answer of `/metrics`. It contains Felix's WireGuard metrics of every device on this
 * machine, under the same names (docs/reference/calico-felix.md#metrics), and the agent's own
 * metrics. Devices are read at most once a second, even if clients ask more often.
 */

import type { WireguardBackend } from '../../../backend/backend.ts';
import { formatKeyBase64 } from '../../../base/key.ts';
import { type DeviceStatus, eraseStatus } from '../../../config/model.ts';
import { formatZonedEndpoint } from '../../../config/zones.ts';
import type { AgentStatus } from '../status.ts';
import { Exposition } from './exposition.ts';

/** What counters=1 reports beside counters. */
const GAUGES: ReadonlyMap<string, string> = new Map([
  ['threads.most', 'most'],
  ['threads.now', 'now'],
]);

export interface MetricsOptions {
  readonly hostname: string;
  readonly backend: Pick<WireguardBackend, 'list' | 'get' | 'counters'>;
  now(): number;
}

interface Device {
  readonly name: string;
  readonly status: DeviceStatus;
  readonly counters: Readonly<Record<string, number>>;
}

const CACHE_MS = 1_000;
/** Go's zero time as Unix time in seconds, which Felix reports for a peer without a handshake. */
const NEVER_S = -62_135_596_800;

export class Metrics {
  readonly #options: MetricsOptions;
  #readAt = Number.NEGATIVE_INFINITY;
  #devices: Promise<readonly Device[]> = Promise.resolve([]);

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  async text(status: AgentStatus): Promise<string> {
    const { now } = this.#options;
    if (now() - this.#readAt >= CACHE_MS) {
      this.#readAt = now();
      this.#devices = this.#read();
    }
    const out = new Exposition();
    for (const device of await this.#devices) this.#addDevice(out, device);
    addAgent(out, status);
    return out.toString();
  }

  /** Reads all devices. Skips those that disappear during the read. */
  async #read(): Promise<Device[]> {
    const { backend } = this.#options;
    const names = await backend.list().catch(() => []);
    const devices = await Promise.all(
      names.map(async name => {
        try {
          const status = await backend.get(name);
          eraseStatus(status);
          return [{ name, status, counters: (await backend.counters(name).catch(() => undefined)) ?? {} }];
        } catch {
          return [];
        }
      }),
    );
    return devices.flat();
  }

  #addDevice(out: Exposition, { name: iface, status, counters }: Device): void {
    const { hostname } = this.#options;
    if (!status.publicKey) return;
    const own = { hostname, public_key: formatKeyBase64(status.publicKey) };
    const listenPort = String(status.listenPort);
    out.add('wireguard_meta', 'gauge', 'Device metadata', 1, { ...own, iface, listen_port: listenPort });
    for (const peer of status.peers) {
      const labels = {
        ...own,
        peer_key: formatKeyBase64(peer.publicKey),
        peer_endpoint: peer.endpoint ? formatZonedEndpoint(peer.endpoint) : '',
      };
      const latest = peer.lastHandshakeSeconds === 0 ? NEVER_S : peer.lastHandshakeSeconds;
      out.add('wireguard_latest_handshake_seconds', 'gauge', 'UNIX time of the latest handshake', latest, labels);
      out.add('wireguard_bytes_rcvd', 'counter', 'Bytes received from the peer', peer.rxBytes, labels);
      out.add('wireguard_bytes_sent', 'counter', 'Bytes sent to the peer', peer.txBytes, labels);
    }
    const threads = "Threads that may share, and share now, the device's work";
    const events = 'Packets dropped, by reason, and other counts of the device';
    for (const [counter, value] of Object.entries(counters)) {
      const which = GAUGES.get(counter);
      if (which === undefined) out.add('wgts_events_total', 'counter', events, value, { iface, counter });
      else out.add('wgts_threads', 'gauge', threads, value, { iface, which });
    }
  }
}

function addAgent(out: Exposition, { phase, stale, plan, applied, published, problems, turns }: AgentStatus): void {
  for (const each of ['waiting', 'running', 'handed-over'])
    out.add('wgts_agent_phase', 'gauge', 'The phase of the agent', each === phase ? 1 : 0, { phase: each });
  out.add('wgts_cluster_stale', 'gauge', '1 while the cluster cannot be read', stale === undefined ? 0 : 1);
  out.add('wgts_problems', 'gauge', 'Problems in the cluster or on this node, see the Events', problems.length);
  out.add('wgts_turns_total', 'counter', 'Turns: planning from the cluster and applying the plan', turns.count);
  out.add('wgts_turns_failed_total', 'counter', 'Turns with at least one failure', turns.failed);
  out.add('wgts_changes_total', 'counter', 'Changes made on this node', turns.changes);
  out.add('wgts_plan_seconds', 'gauge', 'Duration of the last planning', turns.planSeconds);
  out.add('wgts_apply_seconds', 'gauge', 'Duration of the last application of a plan', turns.applySeconds);
  for (const family of [4, 6] as const) {
    const labels = { family: `IPv${family}` };
    const tunnel = applied?.tunnels[family];
    out.add('wgts_tunnel_ready', 'gauge', 'Whether the tunnel is up', tunnel?.ready ? 1 : 0, labels);
    out.add('wgts_key_published', 'gauge', 'Whether our key is on our Node', published[family] ? 1 : 0, labels);
    if (tunnel?.backend)
      out.add('wgts_backend', 'gauge', 'The backend that runs the tunnel', 1, { ...labels, backend: tunnel.backend });
    const states = plan?.peers[family];
    if (!states) continue;
    const counts = new Map<string, number>([['encrypted', 0]]);
    for (const { plain = 'encrypted' } of states) counts.set(plain, (counts.get(plain) ?? 0) + 1);
    for (const [state, count] of counts)
      out.add('wgts_nodes', 'gauge', 'Other nodes by state: encrypted, or the reason why not', count, {
        ...labels,
        state,
      });
  }
}
