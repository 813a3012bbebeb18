/**
 * The endpoint follower with a device and a name server in memory: slow names, peers that return
 * during a change, failures.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { formatKeyBase64 } from '../../src/base/key.ts';
import type { DeviceConfig, DeviceStatus, PeerStatus } from '../../src/config/model.ts';
import type { HostEndpoint } from '../../src/config/values.ts';
import { numericZones } from '../../src/config/zones.ts';
import { EndpointFollower } from '../../src/host/endpoint-follower.ts';
import type { Machine } from '../../src/host/machine.ts';
import { Network } from '../../src/netlink/network.ts';
import { parseQuickFile } from '../../src/quick/file.ts';
import { FakeMachine } from '../quick/fake-machine.ts';

const at = (text: string) => parseEndpoint(`${text}:7`)!;
const key = (n: number) => new Uint8Array(32).fill(n);
const FILE = parseQuickFile(
  [1, 2].map(n => `[Peer]\nPublicKey = ${formatKeyBase64(key(n))}\nEndpoint = host${n}.example:7\n`).join(''),
  'wg0.conf',
  { zones: numericZones },
);
const [A, B] = [at('192.0.2.8'), at('192.0.2.9')];

interface Answering {
  readonly resolve: (addresses: readonly Uint8Array[]) => void;
  readonly reject: (error: Error) => void;
}

let peers: PeerStatus[];
let told: string[];
/** Runs just before the device is configured. */
let beforeChange: (() => void) | undefined;
let said: string[];
let waiting: Map<string, Answering>;
let network: Network;
let abort: AbortController;
let follower: EndpointFollower;

const peer = (n: number, rest: Partial<PeerStatus> = {}): PeerStatus => ({
  publicKey: key(n),
  endpoint: A,
  lastHandshakeSeconds: 0,
  lastHandshakeNanoseconds: 0,
  rxBytes: 0,
  txBytes: 0,
  persistentKeepalive: 0,
  allowedIps: [],
  ...rest,
});
const status = (): DeviceStatus => ({ listenPort: 1, fwmark: 0, peers });
const look = () => follower.look(status());
const answer = async (n: number, addresses: readonly Uint8Array[] | Error): Promise<void> => {
  const { resolve, reject } = waiting.get(`host${n}.example`)!;
  waiting.delete(`host${n}.example`);
  if (addresses instanceof Error) reject(addresses);
  else resolve(addresses);
  // longer than the follower collects answers
  await new Promise(done => setTimeout(done, 120));
};

beforeEach(async () => {
  peers = [peer(1), peer(2)];
  [told, said, waiting] = [[], [], new Map()];
  beforeChange = undefined;
  network = new Network((await FakeMachine.start()).kernel);
  await network.links.create({ name: 'wg0', kind: 'wireguard', up: true });
  abort = new AbortController();
  const devices = {
    status: async () => status(),
    eraseSecrets: () => {},
    configure: async (_: string, { peers: changes = [] }: DeviceConfig) => {
      beforeChange?.();
      beforeChange = undefined;
      for (const { publicKey, endpoint } of changes) {
        told.push(`${publicKey[0]} ${formatEndpoint(endpoint!)}`);
        peers = peers.map(each => (each.publicKey[0] === publicKey[0] ? { ...each, endpoint: endpoint! } : each));
      }
    },
  };
  const machine = { network, devices, say: (text: string) => said.push(text), warn: (text: string) => said.push(text) };
  const resolve = ({ host }: HostEndpoint) => {
    return new Promise<readonly Uint8Array[]>((resolve, reject) => waiting.set(host, { resolve, reject }));
  };
  const options = { machine: machine as unknown as Machine, file: FILE, resolve, interval: 1, now: () => 1000 };
  follower = new EndpointFollower({ ...options, signal: abort.signal }, error => said.push(`failed: ${error}`));
});
afterEach(() => {
  follower.close();
  network.close();
});

test('a name with a slow server is resolved once, and delays no other name', async () => {
  for (let i = 0; i < 3; i++) {
    look();
    await answer(2, [A, B]);
  }
  expect(told).toEqual(['2 192.0.2.9:7', '2 192.0.2.8:7']);
  expect([...waiting.keys()]).toEqual(['host1.example']);
  await answer(1, [B]);
  expect(told.at(-1)).toBe('1 192.0.2.9:7');
});

test.each([
  ['had a handshake', { lastHandshakeSeconds: 999 }],
  ['roamed', { endpoint: at('203.0.113.5') }],
])('a peer that %s while its name was resolved stays unchanged', async (_, change) => {
  look();
  peers = [peer(1, change), peer(2)];
  await answer(1, [B]);
  await answer(2, [B]);
  expect(told).toEqual(['2 192.0.2.9:7']);
});

test('a peer that answers while its endpoint moves gets its old endpoint back', async () => {
  look();
  await answer(1, [A, B]);
  await answer(2, [A, B]);
  look();
  beforeChange = () => {
    peers = [peer(1, { lastHandshakeSeconds: 999, rxBytes: 92 }), peer(2)];
  };
  await answer(1, [A, B]);
  await answer(2, [A, B]);
  expect(told).toEqual(['1 192.0.2.9:7', '1 192.0.2.8:7', '2 192.0.2.9:7']);
  expect(said).toEqual(['host2.example:7 is silent at 192.0.2.8:7: trying 192.0.2.9:7']);
  // the old endpoint was wrong after all: packets to it stay unanswered
  for (const txBytes of [100, 200]) {
    peers = [{ ...peers[0]!, txBytes }, peer(2, { lastHandshakeSeconds: 999 })];
    look();
    await answer(1, [A, B]);
  }
  expect(told.slice(3)).toEqual(['1 192.0.2.9:7']);
  peers = [{ ...peers[0]!, txBytes: 300, rxBytes: 93 }, peer(2, { lastHandshakeSeconds: 999 })];
  look();
  expect(waiting.has('host1.example')).toBe(false);
});

test('a failure changes nothing, is logged once, and again after the peer was heard', async () => {
  for (let i = 0; i < 3; i++) {
    look();
    await answer(1, new Error('host1.example cannot be resolved'));
    await answer(2, [A]);
  }
  expect(said).toEqual(['host1.example cannot be resolved']);
  peers = [peer(1, { lastHandshakeSeconds: 999 }), peer(2)];
  look();
  await answer(2, [A]);
  peers = [peer(1), peer(2)];
  look();
  await answer(1, new Error('host1.example cannot be resolved'));
  expect(said).toHaveLength(2);
  expect(told).toEqual([]);
});

test('unreachable addresses are skipped, and a round is logged once', async () => {
  for (let i = 0; i < 5; i++) {
    look();
    await answer(1, [A, at('[2001:db8::1]'), B]);
    await answer(2, [at('[2001:db8::1]')]);
  }
  expect(told).toEqual(['1 192.0.2.9:7', '1 192.0.2.8:7', '1 192.0.2.9:7', '1 192.0.2.8:7']);
  expect(said).toEqual([
    'host1.example:7 is silent at 192.0.2.8:7: trying 192.0.2.9:7',
    'host1.example:7 is silent at 192.0.2.9:7: trying 192.0.2.8:7',
  ]);
});

test('nothing changes after the end', async () => {
  look();
  abort.abort();
  await answer(1, [B]);
  await answer(2, new Error('too late'));
  expect([told, said]).toEqual([[], []]);
});
