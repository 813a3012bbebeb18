#!/usr/bin/env node
// `npm run demo:calico`: three nodes without a kernel module and their pods, each a network namespace, and the agent on each node, fed from a folder
// of YAML. Encryption is switched on, an agent is killed, a node is excepted; and who talked to whom, encrypted or in the clear, as the network between
// them saw it. Runs in namespaces of its own, as root or without: nothing of it is left behind.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { configure, nodeAddress, podAddress, podBlock, publishedKey, writeCluster } from './demo/cluster.mjs';
import { enter, HINTS } from './demo/enter.mjs';
import { makeHost } from './demo/host.mjs';
import { joinSwitch } from './demo/switch.mjs';

const PORT = 51820;
const NODES = [1, 2, 3];
const PINGS = 5;
const LIMIT = 30_000;
const always = () => true;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GATEWAY = '169.254.1.1';

enter(fileURLToPath(import.meta.url));
const results = [];
const hosts = [];
const agents = [];
const ends = [];
const base = mkdtempSync(join(tmpdir(), 'wgts-demo-'));
const folder = join(base, 'cluster');
try {
  await main();
  process.exitCode = results.every(Boolean) ? 0 : 1;
} catch (error) {
  console.error(`  failed: ${error.message}${HINTS[error.code] ?? ''}`);
  for (const n of NODES) console.error(`\n  the agent of node-${n}:\n${lastLines(n)}`);
  process.exitCode = 1;
} finally {
  for (const agent of agents) agent.kill('SIGKILL');
  for (const host of hosts) host.end();
  for (const { tun } of ends) tun.close();
  rmSync(base, { recursive: true, force: true });
  // the tunnels' processes, which outlive their agents, end with the namespace, and it with us
  process.exit();
}

async function main() {
  execFileSync('mount', ['-t', 'tmpfs', 'none', '/run']);
  console.log(
    `wireguard-ts on Node ${process.versions.node}: a Calico cluster of three nodes, none with the kernel module\n`,
  );
  console.log('  pod-1 10.244.1.2 --- node-1 192.0.2.1 --+');
  console.log('  pod-2 10.244.2.2 --- node-2 192.0.2.2 --+-- the network, which counts');
  console.log('  pod-3 10.244.3.2 --- node-3 192.0.2.3 --+\n');
  const { wire, pods } = await network();
  mkdirSync(folder);
  writeCluster(folder, NODES);
  for (const n of NODES) agents[n - 1] = startAgent(n);

  await talk(pods);
  tell('wireguardEnabled: false', wire.take(), () => false);

  const began = performance.now();
  configure(folder, 'default', true);
  await until('every node to publish its key', () => NODES.every(n => publishedKey(folder, n)));
  await settled('every pair to be encrypted', wire, pods, always);
  check(
    true,
    `wireguardEnabled: true, and ${((performance.now() - began) / 1000).toFixed(1)} s later every pair is encrypted`,
  );
  await talk(pods);
  tell('every pod to every other', wire.take(), always);

  agents[1].kill('SIGKILL');
  await sleep(200);
  await talk(pods);
  tell('the agent of node-2 was killed: its tunnel goes on', wire.take(), always);
  agents[1] = startAgent(2);

  configure(folder, 'node.node-3', false);
  const others = (from, to) => from !== 3 && to !== 3;
  await until('node-3 to take its key away', () => !publishedKey(folder, 3));
  await settled('node-3 to be excepted', wire, pods, others);
  await talk(pods);
  tell('node.node-3 has wireguardEnabled: false', wire.take(), others);
  console.log('  wgts verify says:\n');
  const verify = await hosts[0].runLater('sh', '-c', `(${wgts('verify', '--cluster-from', folder)}); true`);
  console.log(verify.replace(/^/gm, '    ').trimEnd());
}

async function network() {
  const [{ openTun }, { nativeBinding }] = await Promise.all([
    import('../dist/io/tun.js'),
    import('../dist/io/native-binding.js'),
  ]);
  const pods = [];
  for (const n of NODES) {
    const node = await makeHost(`node-${n}`, { ownRun: true });
    hosts.push(node);
    const tun = openTun({ binding: nativeBinding(), name: `wire${n}`, mtu: 1500 });
    ends.push({ tun, fd: tun.fd });
    execFileSync('ip', ['link', 'set', `wire${n}`, 'netns', String(node.pid), 'name', 'eth0']);
    node.run('ip', 'addr', 'add', `${nodeAddress(n)}/24`, 'dev', 'eth0');
    node.run('ip', 'link', 'set', 'eth0', 'addrgenmode', 'none', 'up');
    for (const other of NODES)
      if (other !== n) node.run('ip', 'route', 'add', podBlock(other), 'via', nodeAddress(other), 'dev', 'eth0');
    pods.push(await addPod(node, n));
  }
  const wire = joinSwitch(ends, {
    port: PORT,
    nodeOf: address => (address[0] === 10 ? address[2] : address[3]) - 1,
    isPod: address => address[0] === 10,
  });
  return { wire, pods };
}

/** As Calico's CNI plugin makes it: a veth pair, and routes by a gateway that is nobody's. */
async function addPod(node, n) {
  const pod = await makeHost(`pod-${n}`);
  hosts.push(pod);
  const [inside, outside] = [`${pod.pid}`, `${node.pid}`];
  execFileSync('ip', [
    'link',
    'add',
    `cali${n}`,
    'netns',
    outside,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    inside,
  ]);
  node.run('ip', 'addr', 'add', `${GATEWAY}/32`, 'dev', `cali${n}`);
  node.run('ip', 'link', 'set', `cali${n}`, 'up');
  node.run('ip', 'route', 'add', podAddress(n), 'dev', `cali${n}`);
  node.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  pod.run('ip', 'addr', 'add', `${podAddress(n)}/32`, 'dev', 'eth0');
  pod.run('ip', 'link', 'set', 'eth0', 'up');
  pod.run('ip', 'route', 'add', GATEWAY, 'dev', 'eth0');
  pod.run('ip', 'route', 'add', 'default', 'via', GATEWAY);
  return pod;
}

function startAgent(n) {
  const node = hosts.find(({ name }) => name === `node-${n}`);
  const options = ['--node', `node-${n}`, '--cluster-from', folder, '--key-dir', join(base, `keys-${n}`), '--allocate'];
  return node.spawn('sh', '-c', `${wgts('calico', ...options)} 2>>${log(n)}`);
}

function wgts(...args) {
  return ['exec', process.execPath, join(ROOT, 'dist/cli/wgts.js'), ...args].join(' ');
}

/** Every pod pings every other. */
async function talk(pods) {
  const pairs = NODES.flatMap(from => NODES.filter(to => to !== from).map(to => [from, to]));
  const answered = await Promise.all(
    pairs.map(async ([from, to]) => {
      const out = await pods[from - 1].runLater(
        ...['sh', '-c', `ping -n -i 0.1 -W 2 -c ${PINGS} ${podAddress(to)} || true`],
      );
      return (out.match(/bytes from/g) ?? []).length;
    }),
  );
  results.push(answered.every(count => count === PINGS));
  if (!results.at(-1)) console.log(`  FAILED  pings answered, of ${PINGS} each: ${answered.join(' ')}`);
}

/** Until every pair was seen as it shall be, and in no other way, between two looks. */
async function settled(what, wire, pods, shallBeEncrypted) {
  await until(what, async () => {
    wire.take();
    await Promise.all(
      NODES.flatMap(from =>
        NODES.filter(to => to !== from).map(to =>
          pods[from - 1].runLater('sh', '-c', `ping -n -W 1 -c 1 ${podAddress(to)} || true`),
        ),
      ),
    );
    return isAs(wire.take(), shallBeEncrypted);
  });
}

function isAs({ encrypted, clear }, shallBeEncrypted) {
  return eachPair((from, to) => {
    const [sealed, open] = [encrypted[from - 1][to - 1], clear[from - 1][to - 1]];
    return shallBeEncrypted(from, to) ? sealed > 0 && open === 0 : sealed === 0 && open > 0;
  });
}

function eachPair(test) {
  return NODES.every(from => NODES.every(to => from === to || test(from, to)));
}

/** A picture of who talks to whom: from the left to above. */
function tell(title, { encrypted, clear }, shallBeEncrypted) {
  const good = isAs({ encrypted, clear }, shallBeEncrypted);
  check(good, title);
  console.log(`\n      from \\ to${NODES.map(n => `pod-${n}`.padStart(16)).join('')}`);
  for (const from of NODES) {
    const cells = NODES.map(to => {
      if (from === to) return '-';
      const [sealed, open] = [encrypted[from - 1][to - 1], clear[from - 1][to - 1]];
      return [sealed > 0 ? `${sealed} encrypted` : '', open > 0 ? `${open} CLEAR` : ''].filter(Boolean).join(' + ');
    });
    console.log(`      pod-${from}    ${cells.map(cell => cell.padStart(16)).join('')}`);
  }
  console.log('');
}

function check(good, text) {
  results.push(good);
  console.log(`  ${good ? 'ok    ' : 'FAILED'}  ${text}`);
}

async function until(what, test) {
  for (const end = performance.now() + LIMIT; !(await test()); await sleep(50))
    if (performance.now() > end) throw new Error(`waited ${LIMIT / 1000} s in vain for ${what}`);
}

function log(n) {
  return join(base, `agent-${n}.log`);
}

function lastLines(n) {
  try {
    return readFileSync(log(n), 'utf8').split('\n').slice(-20).join('\n').replace(/^/gm, '    ');
  } catch {
    return '    said nothing';
  }
}
