// The scenario of `npm run demo:kubernetes`: a real Kubernetes cluster with a kubelet and
// containerd on each of three nodes, none with the kernel module. It does what an operator does:
// applies the manifests, enables WireGuard in Calico's configuration, updates the DaemonSet, asks
// wgts verify. After each step it shows which pods talked to each other, encrypted or in the clear,
// as the network between the nodes saw it.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Failure } from './failure.mjs';
import { fitLines, isAsExpected, NODES, table } from './pairs.mjs';

const ROOT = process.env.WGTS_REPOSITORY;
/** A folder whose content is not needed. A file system in memory on it holds the nodes' disks. */
const PLACES = ['/mnt', '/media', '/srv', '/opt', '/home'];
const OVERLAY = 'deploy/manifest-install';
const ECHO_MS = 1500;
const SETTLED_MS = 4000;

export async function run(screen) {
  const real = await import(join(ROOT, 'dist/demo/real-cluster.mjs'));
  const began = performance.now();
  const folder = await memoryFolder();
  const programs = await real.findPrograms(() => {});
  screen.line('wireguard-ts on a real Kubernetes cluster: three nodes with kubelet and containerd,');
  screen.line('none with the kernel module\n');
  const since = () => `${((performance.now() - began) / 1000).toFixed(0)} s`;
  const cluster = await real.RealCluster.start({ programs, definitions: real.plainDefinitions(), folder });
  try {
    await show(screen, real, cluster, since);
  } finally {
    await cluster.close();
  }
}

async function show(screen, real, cluster, since) {
  const sealed = await real.Underlay.watch(real.BRIDGE, join(cluster.folder, 'sealed.pcap'), 'udp port 51820');
  screen.check(true, 'after', `${since()}: etcd, kube-apiserver, kube-controller-manager, kube-scheduler`);
  await Promise.all(NODES.map(n => cluster.addNode(n)));
  screen.check(true, 'after', `${since()}: three nodes are ready`);
  const agents = await real.AgentDaemonSet.install(cluster, ['-k', OVERLAY], 'kube-system');
  screen.check(true, 'after', `${since()}: kubectl apply -k ${OVERLAY}: an agent is ready on each node`);
  const talkers = await real.Talkers.deploy(cluster, 1);
  screen.check(true, 'after', `${since()}: a Deployment with a pod on each node\n`);

  const showTraffic = async (title, expectEncrypted, step = () => {}) => {
    const from = Date.now();
    const losses = await talkers.during(async () => {
      await step();
      await sleep(ECHO_MS);
    });
    const seen = { encrypted: await counts(sealed, from), clear: await counts(cluster.clear, from) };
    const good = losses.lost === 0 && isAsExpected(seen, () => expectEncrypted);
    screen.check(good, '', `${title}: ${losses.sent} datagrams, ${losses.lost} lost`);
    screen.line(`\n${table(seen, screen.columns)}\n`);
  };

  await talkers.untilAllTalk();
  await showTraffic('wireguardEnabled: false', false);
  await cluster.felix({ wireguardEnabled: true });
  const nodes = NODES.map(n => new real.Node(cluster.machine(n)));
  for (const node of nodes) await real.until('all peers', async () => (await node.peers()) === NODES.length - 1);
  await talkers.untilAllTalk();
  // The agents begin their last handshake three seconds after a new key.
  await sleep(SETTLED_MS);
  await showTraffic('wireguardEnabled: true', true);
  await showTraffic('kubectl rollout restart of the DaemonSet', true, async () => {
    await cluster.kubectl(['-n', 'kube-system', 'rollout', 'restart', 'daemonset/wireguard-ts']);
    await agents.untilRolledOut();
  });

  screen.line('  kubectl get pods -A -o wide prints:\n');
  const pods = await cluster.kubectl(['get', 'pods', '-A', '-o', 'wide']);
  const columns = pods
    .trimEnd()
    .split('\n')
    .map(line => line.split(/ {2,}/));
  for (const each of columns)
    screen.line(`    ${each[1].padEnd(32)}${each[2].padEnd(8)}${each[3].padEnd(10)}${each[7]}`);
  screen.line('\n  wgts verify prints:\n');
  const { code, stdout } = await cluster.verify();
  for (const line of fitLines(stdout.trimEnd().split('\n'), screen.columns - 4)) screen.line(`    ${line}`);
  screen.line();
  screen.check(
    code === 0,
    'after',
    `${since()}: ${code === 0 ? 'every pair encrypted' : 'not every pair is encrypted'}`,
  );
}

/** Returns how many packets each node sent to each other, by sender and receiver. */
async function counts(underlay, from) {
  const seen = NODES.map(() => NODES.map(() => 0));
  // A pod is 10.244.NODE.x, and a node 172.20.0.NODE.
  const nodeOf = address => Number(address.split('.')[address.startsWith('10.') ? 2 : 3]) - 1;
  for (const { source, destination } of await underlay.between(from)) {
    const row = seen[nodeOf(source)];
    if (row?.[nodeOf(destination)] !== undefined) row[nodeOf(destination)]++;
  }
  return seen;
}

/** Mounts a file system in memory for all files. It ends with the demo's namespaces. */
async function memoryFolder() {
  const uses = [ROOT, process.execPath, process.env.HOME, process.env.XDG_CACHE_HOME].filter(Boolean);
  const place = PLACES.find(path => existsSync(path) && !uses.some(each => `${each}/`.startsWith(`${path}/`)));
  if (place === undefined) throw new Failure(`there is no folder to mount on: create one of ${PLACES.join(', ')}`);
  await promisify(execFile)('mount', ['-n', '-t', 'tmpfs', '-o', 'mode=755', 'demo', place]);
  return join(place, process.env.WGTS_DEMO_GROUP);
}
