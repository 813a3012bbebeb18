/**
 * Runs inside the machine with the kernel module: the agent beside a Felix node, which `ip` and
 * `wg` simulate. Prints one line of JSON per check.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Running, run, until } from '../netns/command.ts';
import { ROOT } from '../netns/device.ts';
import { type KeyPair, keyPair } from '../netns/keys.ts';
import { Lab, type Namespace } from '../netns/lab.ts';
import { mustPing, transfer } from '../netns/traffic.ts';
import { blockOf, configure, writeCluster } from './calico-files.ts';
import { CALICO_CHECKS, type CalicoResult } from './calico-results.ts';

const WGTS = join(ROOT, 'dist/program/wgts.cjs');
const DEVICE = 'tunl-wg.cali';
const GATEWAY = '169.254.1.1';
/** Long, because the emulated machine is slow. */
const LIMIT_MS = 300_000;
const MEGABYTE = 1_000_000;
/** Felix's mark for encrypted packets, its table, and the priority of the rule that leads there. */
const [MARK, TABLE, PRIORITY] = ['0x100000', '1', '99'];

interface Node {
  readonly number: number;
  readonly namespace: Namespace;
  readonly pod: Namespace;
}

interface Scene {
  readonly lab: Lab;
  readonly felix: Node;
  readonly ours: Node;
  readonly felixKeys: KeyPair;
  readonly folder: string;
}

const scene = await makeScene();
const untouched = await picture(scene.ours.namespace);
let agent: Running | undefined;

await report(CALICO_CHECKS.peer, async () => {
  const { felix, ours } = scene;
  // No node encrypts yet, so the watch must see packets in the clear.
  await mustPing(ours.pod, podAddress(felix), { count: 2, wait: 20 });
  assert.ok((await inTheClear()) >= 4, 'the watch sees nothing');
  agent = startAgent('--take-over', '--backend=native');
  const key = await published();
  await felixSends(key);
  await bothWays('tun');
  const [, received, sent] = (await ofFelix('transfer')).split('\t').map(Number);
  assert.ok(received! > MEGABYTE && sent! > MEGABYTE, `the module counted ${received} and ${sent} bytes`);
  assert.ok(Number((await ofFelix('latest-handshakes')).split('\t')[1]) > 0, 'the module shows no handshake');
});

await report(CALICO_CHECKS.takeOver, async () => {
  const before = await published();
  await agent?.stop();
  // Delete the device, as a container's end would: a running tunnel would be kept.
  await scene.ours.namespace.ip(`link del ${DEVICE}`);
  agent = startAgent('--take-over');
  await until('the kernel to have the device', async () => (await kindOf(DEVICE)) === 'wireguard', LIMIT_MS);
  await until(
    'the device to have its peer',
    async () => (await ofOurs('peers')) === scene.felixKeys.publicKey,
    LIMIT_MS,
  );
  assert.equal(await published(), before);
  await bothWays('wireguard');
  for (const threaded of [true, false]) {
    configure(scene.folder, { wireguardThreadingEnabled: threaded });
    const isApplied = async () => (await ofLink('threaded')) === String(Number(threaded));
    await until(`wireguardThreadingEnabled: ${threaded}`, isApplied, LIMIT_MS);
  }
});

await report(CALICO_CHECKS.left, async () => {
  await agent?.stop();
  agent = startAgent();
  await until('the agent to say so', () => agent!.output().includes('left to Felix'), LIMIT_MS);
  await until('the key to be gone', () => keyInFile() === undefined, LIMIT_MS);
  await until('everything to be gone', async () => (await picture(scene.ours.namespace)) === untouched, LIMIT_MS).catch(
    different,
  );
  assert.deepEqual(await readiness(), { status: 200, phase: 'handed-over' });
});

await report(CALICO_CHECKS.handOver, async () => {
  const { felix, ours } = scene;
  await agent?.stop();
  await felix.namespace.ip('link del wireguard.cali');
  // Nothing may load the module again before this check does.
  writeFileSync('/proc/sys/kernel/modprobe', '/bin/false');
  await run(['rmmod', 'wireguard']);
  assert.equal((await run(['ip', 'link', 'add', 'none', 'type', 'wireguard'], { mayFail: true })).code, 2);
  agent = startAgent();
  await published();
  assert.equal(await kindOf(DEVICE), 'tun');
  assert.deepEqual(await readiness(), { status: 200, phase: 'running' });

  await run(['insmod', process.env['WIREGUARD_MODULE']!]);
  await until('the key to be gone', () => keyInFile() === undefined, LIMIT_MS);
  await until('everything to be gone', async () => (await picture(ours.namespace)) === untouched, LIMIT_MS).catch(
    different,
  );
  assert.deepEqual(await readiness(), { status: 200, phase: 'handed-over' });
});

await agent?.stop();
await scene.lab.close();

async function report(name: string, check: () => Promise<void>): Promise<void> {
  let result: CalicoResult = { name };
  try {
    await check();
  } catch (error) {
    result = { name, error: `${(error as Error).stack}\n${agent?.output().slice(-2000) ?? ''}` };
  }
  console.log(JSON.stringify(result));
}

/**
 * Makes two nodes on a cable with a pod each, BIRD's routes, Felix's device on the first node, and
 * the cluster as files.
 */
async function makeScene(): Promise<Scene> {
  const lab = new Lab();
  const [felix, ours] = [await makeNode(lab, 1), await makeNode(lab, 2)];
  await lab.cable(felix.namespace, 'eth0', ['192.0.2.1/24'], ours.namespace, 'eth0', ['192.0.2.2/24']);
  for (const [from, to] of [
    [felix, ours],
    [ours, felix],
  ] as const)
    await from.namespace.ip(`route add ${blockOf(to)} via 192.0.2.${to.number} dev eth0`);
  await felix.namespace.nft(`table inet watch {
    chain in { type filter hook prerouting priority -300; iifname "eth0" ip saddr 10.244.0.0/16 counter; }
    chain out { type filter hook postrouting priority 300; oifname "eth0" ip daddr 10.244.0.0/16 counter; }
  }`);
  const folder = join(lab.directory, 'cluster');
  mkdirSync(folder);
  const felixKeys = keyPair();
  writeCluster(folder, [felix, ours], felixKeys.publicKey);
  await felix.namespace.ip('link add wireguard.cali type wireguard', 'link set wireguard.cali up mtu 1440');
  const secret = lab.file(felixKeys.privateKey);
  await felix.namespace.run([
    ...['wg', 'set', 'wireguard.cali', 'private-key', secret, 'listen-port', '51820', 'fwmark', MARK],
  ]);
  await felix.namespace.ip(`rule add not from all fwmark ${MARK}/${MARK} lookup ${TABLE} pref ${PRIORITY}`);
  return { lab, felix, ours, felixKeys, folder };
}

async function makeNode(lab: Lab, number: number): Promise<Node> {
  const [namespace, pod] = [await lab.namespace(`node${number}`), await lab.namespace(`pod${number}`)];
  const node = { number, namespace, pod };
  await lab.cable(namespace, 'cali0', [`${GATEWAY}/32`], pod, 'eth0', [`${podAddress(node)}/32`]);
  await namespace.ip(`route add ${podAddress(node)} dev cali0`);
  await pod.ip(`route add ${GATEWAY} dev eth0`, `route add default via ${GATEWAY}`);
  await namespace.sysctl('net.ipv4.ip_forward=1');
  return node;
}

function podAddress({ number }: Node): string {
  return `10.244.${number}.2`;
}

async function ofLink(attribute: string): Promise<string> {
  const file = `/sys/class/net/${DEVICE}/${attribute}`;
  return (await scene.ours.namespace.run(['cat', file])).stdout.trim();
}

function startAgent(...more: readonly string[]): Running {
  const { lab, ours, folder } = scene;
  const keys = join(lab.directory, 'keys');
  const options = ['--node', 'node-2', '--cluster-from', folder, '--key-dir', keys, ...more];
  return ours.namespace.start([process.execPath, WGTS, 'calico', ...options]);
}

function keyInFile(): string | undefined {
  return /WireguardPublicKey: (\S+)/.exec(readFileSync(join(scene.folder, 'node-2.yaml'), 'utf8'))?.[1];
}

function published(): Promise<string> {
  return until('our key to be published', keyInFile, LIMIT_MS);
}

/** Does what Felix does when a node has a key. */
async function felixSends(key: string): Promise<void> {
  const { felix, ours } = scene;
  const peer = ['peer', key, 'allowed-ips', blockOf(ours), 'endpoint', '192.0.2.2:51820'];
  await felix.namespace.run(['wg', 'set', 'wireguard.cali', ...peer]);
  await felix.namespace.ip(`route add ${blockOf(ours)} dev wireguard.cali table ${TABLE}`);
}

/**
 * Checks ping and TCP from each pod to the other, through a device of this kind, with nothing in
 * the clear.
 */
async function bothWays(kind: string): Promise<void> {
  const { felix, ours } = scene;
  assert.equal(await kindOf(DEVICE), kind);
  const before = await inTheClear();
  await mustPing(ours.pod, podAddress(felix), { count: 3, wait: 20 });
  await mustPing(felix.pod, podAddress(ours), { count: 3, wait: 20 });
  for (const [from, to] of [
    [ours, felix],
    [felix, ours],
  ] as const) {
    const { bytes, sentDigest, receivedDigest } = await transfer(from.pod, to.pod, podAddress(to), MEGABYTE, LIMIT_MS);
    assert.deepEqual([bytes, receivedDigest], [MEGABYTE, sentDigest]);
  }
  assert.equal(await inTheClear(), before, 'packets of pods on the cable');
}

/** Counts packets from or to pods on the cable. */
async function inTheClear(): Promise<number> {
  const { stdout } = await scene.felix.namespace.run(['nft', 'list', 'table', 'inet', 'watch']);
  const counted = [...stdout.matchAll(/packets (\d+)/g)].map(match => Number(match[1]));
  assert.equal(counted.length, 2, stdout);
  return counted[0]! + counted[1]!;
}

async function ofFelix(what: string): Promise<string> {
  return (await scene.felix.namespace.run(['wg', 'show', 'wireguard.cali', what])).stdout.trim();
}

async function ofOurs(what: string): Promise<string> {
  return (await scene.ours.namespace.run(['wg', 'show', DEVICE, what], { mayFail: true })).stdout.trim();
}

async function kindOf(name: string): Promise<string | undefined> {
  const show = ['ip', '-n', scene.ours.namespace.name, '-j', '-d', 'link', 'show', name];
  const { stdout } = await run(show, { mayFail: true });
  if (stdout.trim() === '') return undefined;
  const [link] = JSON.parse(stdout) as { linkinfo?: { info_kind?: string } }[];
  return link?.linkinfo?.info_kind;
}

/**
 * Returns everything that an agent could have made, except what the kernel adds for IPv6 in its own
 * time.
 */
async function picture({ name }: Namespace): Promise<string> {
  const ip = (...command: readonly string[]) => run(['ip', '-n', name, ...command]);
  const parts = [
    await ip('-br', 'link'),
    await ip('rule'),
    await ip('-6', 'rule'),
    await ip('route', 'show', 'table', 'all'),
    await ip('-6', 'route', 'show', 'table', 'all'),
    await run(['ip', 'netns', 'exec', name, 'nft', 'list', 'ruleset']),
  ];
  const lines = parts.flatMap(({ stdout }) => stdout.split('\n'));
  return lines.filter(line => !/fe80::|ff00::|^\s*$/.test(line)).join('\n');
}

/** Shows the difference instead of a timeout. */
async function different(): Promise<void> {
  assert.equal(await picture(scene.ours.namespace), untouched);
}

async function readiness(): Promise<{ readonly status: number; readonly phase: string }> {
  const get = 'exec 3<>/dev/tcp/127.0.0.1/9096; printf "GET /readyz HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3';
  const { stdout } = await scene.ours.namespace.run(['bash', '-c', get]);
  const status = Number(/^HTTP\S+ (\d+)/.exec(stdout)?.[1]);
  const { phase } = JSON.parse(stdout.slice(stdout.indexOf('\r\n\r\n') + 4)) as { phase: string };
  return { status, phase };
}
