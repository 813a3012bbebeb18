// Runs inside a host of the demo: in the host's network namespace, it executes the methods that the
// inner process requests by message. It ends with that process.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { parseAddress } from '../../dist/base/address.js';
import { parsePrefix, parseWithHostBits } from '../../dist/base/prefix.js';
import { systemNetlink } from '../../dist/io/netlink.js';
import { Network } from '../../dist/netlink/network.js';
import { receive, send } from '../transfer.mjs';
import { echo, serveEcho } from './echo.mjs';
import { killAgent, startAgent, startDevice, unwatchDevice, verify, watchDevice } from './programs.mjs';

const [name, sockets] = process.argv.slice(2);

process.on('disconnect', () => process.exit());
process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, result: await METHODS[method](...args) });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});

const network = new Network(systemNetlink);
const receivers = [];
const METHODS = {
  address,
  createPair,
  route,
  forward: () => writeFileSync('/proc/sys/net/ipv4/ip_forward', '1'),
  echo,
  serveEcho,
  startDevice: (device, config) => startDevice(device, config, reportTrouble),
  startAgent: options => startAgent(options, reportTrouble),
  killAgent,
  watchDevice: device => watchDevice(device, reportTrouble),
  unwatchDevice,
  verify,
  send,
  /** @returns the port; received() returns the result */
  async receive(at) {
    const { port, done } = await receive(at);
    receivers.push(done);
    return port;
  },
  received: () => receivers.pop(),
};

await prepare();
process.send({ ready: true });

async function prepare() {
  if (sockets === 'own-sockets') {
    mkdirSync('/run/wireguard', { recursive: true });
    await promisify(execFile)('mount', ['-n', '-t', 'tmpfs', '-o', 'mode=755', 'sockets', '/run/wireguard']);
  }
  silenceIpv6();
  await network.links.change(await link('lo'), { up: true });
}

/** Turns IPv6 off. Otherwise its router solicitations and the like would appear on the cable. */
function silenceIpv6() {
  for (const which of ['all', 'default'])
    try {
      writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
    } catch (error) {
      // The kernel lacks IPv6.
      if (error.code !== 'ENOENT') throw error;
    }
}

/** Assigns an address with its prefix to a link and brings the link up. */
async function address(device, prefix) {
  const to = await link(device);
  const { address, length } = parseWithHostBits(prefix);
  await network.addresses.add(to, { address, prefixLength: length });
  await network.links.change(to, { up: true });
}

/** Creates a veth pair; its other end is in the network namespace of another process. */
async function createPair(device, peer, pid) {
  await network.links.create({ name: device, kind: 'veth', peer: { name: peer, namespace: { pid } } });
}

async function route(prefix, { via, device }) {
  const gateway = via && parseAddress(via);
  const out = device && (await link(device)).index;
  await network.routes.add({
    destination: parsePrefix(prefix),
    ...(gateway && { gateway }),
    ...(out !== undefined && { link: out }),
  });
}

async function link(device) {
  const found = await network.links.find(device);
  if (!found) throw new Error(`link ${device} does not exist`);
  return found;
}

function reportTrouble(text) {
  process.send({ trouble: `${name}: ${text}` });
}
