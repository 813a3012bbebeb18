/** /metrics: Felix's names and labels, Prometheus' format, and devices that come and go. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../../../src/base/address.ts';
import { makeEndpoint } from '../../../../src/base/endpoint.ts';
import { Exposition } from '../../../../src/calico/agent/report/exposition.ts';
import { Metrics } from '../../../../src/calico/agent/report/metrics.ts';
import { FIRST_STATUS } from '../../../../src/calico/agent/status.ts';
import type { DeviceStatus, PeerStatus } from '../../../../src/config/model.ts';
import { keyOf, keyText } from '../cluster.ts';

const PEER: PeerStatus = {
  publicKey: keyOf(2),
  endpoint: makeEndpoint(parseAddress('10.0.0.2')!, 51820),
  lastHandshakeSeconds: 1_700_000_000,
  lastHandshakeNanoseconds: 5,
  rxBytes: 12,
  txBytes: 34,
  persistentKeepalive: 0,
  allowedIps: [],
};
const DEVICE: DeviceStatus = { publicKey: keyOf(1), listenPort: 51820, fwmark: 0, peers: [PEER] };

class Devices {
  all = new Map<string, DeviceStatus>([['tunl-wg.cali', DEVICE]]);
  asked = 0;
  gone = new Set<string>();
  countersOf: () => Promise<Record<string, number> | undefined> = async () => ({ 'bad-mac': 3 });
  readonly backend = {
    list: async () => {
      this.asked++;
      return [...this.all.keys()];
    },
    get: async (name: string) => {
      if (this.gone.has(name)) throw Object.assign(new Error(`no ${name}`), { code: 'ENODEV' });
      return this.all.get(name)!;
    },
    counters: () => this.countersOf(),
  };
}

function metrics(devices: Devices): { text: () => Promise<string[]>; at: (time: number) => void } {
  let now = 0;
  const made = new Metrics({ hostname: 'host-1', backend: devices.backend, now: () => now });
  return {
    text: async () => (await made.text(FIRST_STATUS)).split('\n'),
    at(time) {
      now = time;
    },
  };
}

test("Felix's metrics, by its names and labels (docs/reference/calico-felix.md#metrics)", async () => {
  const lines = await metrics(new Devices()).text();
  const own = `hostname="host-1",public_key="${keyText(1)}"`;
  const labels = `{${own},peer_key="${keyText(2)}",peer_endpoint="10.0.0.2:51820"}`;
  expect(lines).toEqual(
    expect.arrayContaining([
      '# TYPE wireguard_meta gauge',
      `wireguard_meta{${own},iface="tunl-wg.cali",listen_port="51820"} 1`,
      '# TYPE wireguard_latest_handshake_seconds gauge',
      `wireguard_latest_handshake_seconds${labels} 1700000000`,
      '# TYPE wireguard_bytes_rcvd counter',
      `wireguard_bytes_rcvd${labels} 12`,
      '# TYPE wireguard_bytes_sent counter',
      `wireguard_bytes_sent${labels} 34`,
      'wgts_events_total{iface="tunl-wg.cali",counter="bad-mac"} 3',
    ]),
  );
});

test("no handshake is shown as Go's zero time, no endpoint as empty", async () => {
  const devices = new Devices();
  const { endpoint: _, ...peer } = PEER;
  devices.all.set('tunl-wg.cali', { ...DEVICE, peers: [{ ...peer, lastHandshakeSeconds: 0 }] });
  const lines = await metrics(devices).text();
  expect(lines.find(line => line.startsWith('wireguard_latest'))).toMatch(/peer_endpoint=""} -62135596800$/);
});

test('reads devices at most once a second', async () => {
  const devices = new Devices();
  const { text, at } = metrics(devices);
  await Promise.all([text(), text(), text()]);
  at(999);
  await text();
  expect(devices.asked).toBe(1);
  at(1000);
  await text();
  expect(devices.asked).toBe(2);
});

test('a device that vanishes, or has no key or counters, does not hide the others', async () => {
  const devices = new Devices();
  const { publicKey: _, ...keyless } = DEVICE;
  devices.all.set('wg1', { ...DEVICE, publicKey: keyOf(9) }).set('wg2', { ...keyless, peers: [] });
  devices.gone.add('tunl-wg.cali');
  devices.countersOf = () => Promise.reject(new Error('gone'));
  const lines = await metrics(devices).text();
  expect(lines.filter(line => line.startsWith('wireguard_meta')).length).toBe(1);
  expect(lines.join()).toContain(keyText(9));
  devices.backend.list = () => Promise.reject(new Error('no netlink'));
  expect((await metrics(devices).text()).join()).toContain('wgts_turns_total 0');
});

test('two devices with the same key and peers: no series twice, which Prometheus rejects', async () => {
  const devices = new Devices();
  devices.all.set('wg1', DEVICE);
  const lines = await metrics(devices).text();
  expect(lines.filter(line => line.startsWith('wireguard_bytes_sent')).length).toBe(1);
  expect(lines.filter(line => line.startsWith('wireguard_meta')).length).toBe(2);
});

test('the agent: phase, problems, families', async () => {
  const lines = await metrics(new Devices()).text();
  expect(lines).toEqual(
    expect.arrayContaining([
      'wgts_agent_phase{phase="waiting"} 1',
      'wgts_agent_phase{phase="running"} 0',
      'wgts_cluster_stale 0',
      'wgts_problems 0',
      'wgts_tunnel_ready{family="IPv4"} 0',
      'wgts_key_published{family="IPv6"} 0',
    ]),
  );
});

test('escapes labels and help texts, and groups the samples of a name', () => {
  const out = new Exposition();
  out.add('a', 'gauge', 'one\\two\nthree', 1, { x: 'q"b\\s\nn' });
  out.add('b', 'counter', 'other', 2);
  out.add('a', 'gauge', 'again', 3, { x: 'y' });
  expect(out.toString()).toBe(
    [
      '# HELP a one\\\\two\\nthree',
      '# TYPE a gauge',
      'a{x="q\\"b\\\\s\\nn"} 1',
      'a{x="y"} 3',
      '# HELP b other',
      '# TYPE b counter',
      'b 2',
      '',
    ].join('\n'),
  );
});
