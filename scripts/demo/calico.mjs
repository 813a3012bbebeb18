// The scenario of `npm run demo:calico`: three nodes without the kernel module, and their pods.
// Each node and pod is a network namespace. An agent on each node reads the cluster from a folder
// of YAML files. The scenario turns encryption on, kills an agent and exempts a node. After each
// step it shows which pods talked to each other, encrypted or in the clear, as the network between
// the nodes saw it.
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { nativeBinding } from '../../dist/io/native-binding.js';
import { systemNetlink } from '../../dist/io/netlink.js';
import { openTun, SLAB_HEADER_OFFLOADS } from '../../dist/io/tun.js';
import { Network } from '../../dist/netlink/network.js';
import { configure, nodeAddress, podAddress, podBlock, publishedKey, writeCluster } from './cluster.mjs';
import { Failure } from './failure.mjs';
import { Hosts } from './host.mjs';
import { fitLines, isAsExpected, NODES, PAIRS, table } from './pairs.mjs';
import { joinSwitch } from './switch.mjs';

const PORT = 51820;
const ECHOES = 5;
const LIMIT_MS = 30_000;
const GATEWAY = '169.254.1.1';
const DEVICE = 'tunl-wg.cali';
const FOLDER = '/run/demo/cluster';
const always = () => true;

export async function run(screen) {
  screen.line(`wireguard-ts on Node ${process.versions.node}: a Calico cluster`);
  screen.line('of three nodes, none with the kernel module\n');
  screen.line('  pod-1 10.244.1.2 --- node-1 192.0.2.1 --+');
  screen.line('  pod-2 10.244.2.2 --- node-2 192.0.2.2 --+-- the network,');
  screen.line('  pod-3 10.244.3.2 --- node-3 192.0.2.3 --+   which counts\n');
  const hosts = new Hosts();
  await Promise.race([hosts.trouble, show(hosts, screen)]);
}

async function show(hosts, screen) {
  const { wire, nodes, pods } = await network(hosts);
  mkdirSync(FOLDER, { recursive: true });
  writeCluster(FOLDER, NODES);
  const start = n => nodes[n - 1].ask('startAgent', agentOptions(n));
  await Promise.all(NODES.map(start));
  const showTraffic = async (title, expectEncrypted) => {
    const missing = await talk(pods);
    const seen = wire.take();
    screen.check(missing === '' && isAsExpected(seen, expectEncrypted), '', `${title}${missing}`);
    screen.line(`\n${table(seen, screen.columns)}\n`);
  };

  await showTraffic('wireguardEnabled: false', () => false);

  const began = performance.now();
  configure(FOLDER, 'default', true);
  await until('every node to publish its key', () => NODES.every(n => publishedKey(FOLDER, n)));
  await untilSettled('every pair to be encrypted', wire, pods, always);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  screen.check(true, '', `wireguardEnabled: true, and ${seconds} s later every pair is encrypted`);
  await Promise.all(nodes.map(node => node.ask('watchDevice', DEVICE)));
  await showTraffic('every pod to every other', always);

  await nodes[1].ask('killAgent');
  await showTraffic('the agent of node-2 was killed: its tunnel still works', always);
  await start(2);

  await nodes[2].ask('unwatchDevice');
  configure(FOLDER, 'node.node-3', false);
  const others = (from, to) => from !== 3 && to !== 3;
  await until('node-3 to withdraw its key', () => !publishedKey(FOLDER, 3));
  await untilSettled('node-3 to be exempt', wire, pods, others);
  await showTraffic('node.node-3 has wireguardEnabled: false', others);
  screen.line('  wgts verify prints:\n');
  const verify = await nodes[0].ask('verify', ['--cluster-from', FOLDER]);
  for (const line of fitLines(verify.trimEnd().split('\n'), screen.columns - 4)) screen.line(`    ${line}`);
}

async function network(hosts) {
  const ours = new Network(systemNetlink);
  const starting = NODES.map(n =>
    Promise.all([hosts.start(`node-${n}`, { ownSockets: true }), hosts.start(`pod-${n}`)]),
  );
  const [nodes, pods, ends] = [[], [], []];
  for (const [i, pair] of starting.entries()) {
    const [n, [node, pod]] = [NODES[i], await pair];
    nodes.push(node);
    pods.push(pod);
    const tun = openTun({ binding: nativeBinding(), name: `wire${n}`, offloads: SLAB_HEADER_OFFLOADS, mtu: 1500 });
    ends.push({ tun, fd: tun.fd });
    await ours.links.move(await ours.links.find(`wire${n}`), { pid: node.pid }, 'eth0');
    await node.ask('address', 'eth0', `${nodeAddress(n)}/24`);
    for (const other of NODES)
      if (other !== n) await node.ask('route', podBlock(other), { via: nodeAddress(other), device: 'eth0' });
    await addPod(node, pod, n);
  }
  ours.close();
  const wire = joinSwitch(ends, {
    port: PORT,
    nodeOf: address => (address[0] === 10 ? address[2] : address[3]) - 1,
    isPod: address => address[0] === 10,
  });
  return { wire, nodes, pods };
}

/**
 * Creates a pod's link as Calico's CNI plugin does: a veth pair, and routes via a gateway address
 * that no interface has.
 */
async function addPod(node, pod, n) {
  await node.ask('createPair', `cali${n}`, 'eth0', pod.pid);
  await node.ask('address', `cali${n}`, `${GATEWAY}/32`);
  await pod.ask('address', 'eth0', `${podAddress(n)}/32`);
  await node.ask('route', `${podAddress(n)}/32`, { device: `cali${n}` });
  await node.ask('forward');
  await pod.ask('route', `${GATEWAY}/32`, { device: 'eth0' });
  await pod.ask('route', '0.0.0.0/0', { via: GATEWAY });
  await pod.ask('serveEcho', podAddress(n));
}

function agentOptions(n) {
  return ['--node', `node-${n}`, '--cluster-from', FOLDER, '--key-dir', `/run/demo/keys-${n}`, '--allocate'];
}

/**
 * Sends echoes from every pod to every other. @returns a sentence about unanswered echoes, or an
 * empty string if all were answered
 */
async function talk(pods) {
  const answered = await echoes(pods, { count: ECHOES, intervalMs: 50, waitMs: 2000 });
  const missing = PAIRS.filter((_, i) => answered[i] < ECHOES).map(
    ([from, to]) => `pod-${from} to pod-${to} ${answered[PAIRS.findIndex(pair => pair[0] === from && pair[1] === to)]}`,
  );
  return missing.length === 0 ? '' : `; UDP echoes answered, of ${ECHOES} each: ${missing.join(', ')}`;
}

function echoes(pods, options) {
  return Promise.all(
    PAIRS.map(async ([from, to]) => (await pods[from - 1].ask('echo', { address: podAddress(to), ...options })).length),
  );
}

/**
 * Waits until the network sees every pair as expected, and never otherwise, during one round of
 * echoes.
 */
function untilSettled(what, wire, pods, expectEncrypted) {
  return until(what, async () => {
    wire.take();
    await echoes(pods, { count: 1, intervalMs: 0, waitMs: 500 });
    return isAsExpected(wire.take(), expectEncrypted);
  });
}

async function until(what, test) {
  for (const end = performance.now() + LIMIT_MS; !(await test()); await sleep(50))
    if (performance.now() > end)
      throw new Failure(
        `waited ${LIMIT_MS / 1000} s for ${what}, without success; the machine may be too busy, and WGTS_DEMO_DEBUG=1 shows the agents' messages`,
      );
}
