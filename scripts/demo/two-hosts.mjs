// The scenario of `npm run demo`: two hosts (network namespaces), a cable that counts all packets,
// a tunnel between them, an echo and a TCP transfer, and a report of the packets on the cable.
import { generateKeyPairSync } from 'node:crypto';
import { nativeBinding } from '../../dist/io/native-binding.js';
import { systemNetlink } from '../../dist/io/netlink.js';
import { openTun, SLAB_HEADER_OFFLOADS } from '../../dist/io/tun.js';
import { Network } from '../../dist/netlink/network.js';
import { joinCable } from './cable.mjs';
import { Hosts } from './host.mjs';

const PORT = 51820;
const ECHOES = 20;
const BYTES = 500e6;
/** The time limit of the transfer; slow machines send less. */
const SEND_MS = 3000;
const TEXT = 'secret of alice!';

export async function run(screen) {
  screen.line(`wireguard-ts on Node ${process.versions.node}: two hosts and a cable\n`);
  screen.line('  alice 10.0.0.1 --- 192.0.2.1 --+');
  screen.line('                                 +-- the cable, which counts');
  screen.line('  bob   10.0.0.2 --- 192.0.2.2 --+\n');
  const hosts = new Hosts();
  await Promise.race([hosts.trouble, show(hosts, screen)]);
}

async function show(all, screen) {
  const hosts = await Promise.all(['alice', 'bob'].map(name => all.start(name)));
  const seen = joinCable(await cable(hosts), PORT, Buffer.from(TEXT));
  await tunnel(hosts);
  const [alice, bob] = hosts;
  await bob.ask('serveEcho', '10.0.0.2');
  const times = await alice.ask('echo', {
    address: '10.0.0.2',
    count: ECHOES,
    text: TEXT,
    intervalMs: 20,
    waitMs: 2000,
  });
  const median = times.toSorted((a, b) => a - b)[times.length >> 1];
  screen.check(
    seen.handshake !== undefined,
    'handshake',
    seen.handshake === undefined
      ? 'no handshake was seen on the cable'
      : `${seen.handshake.toFixed(1)} ms from initiation to response`,
  );
  screen.check(
    times.length === ECHOES,
    'UDP echo',
    `${times.length} of ${ECHOES} answered${times.length > 0 ? `, median ${median.toFixed(2)} ms, the first, with the handshake, ${times[0].toFixed(1)} ms` : ''}`,
  );
  const port = await bob.ask('receive', '10.0.0.2');
  const sent = await alice.ask('send', '10.0.0.2', port, BYTES, SEND_MS);
  const received = await bob.ask('received');
  const equal = sent.bytes > 0 && sent.digest === received.digest;
  screen.check(
    equal,
    `TCP, ${Math.round(received.bytes / 1e6)} MB`,
    `${((received.bytes * 8) / received.seconds / 1e9).toFixed(2)} Gbit/s, SHA-256 ${equal ? 'equal at both ends' : 'NOT EQUAL'}`,
  );
  report(seen, screen);
}

/** Opens a TUN device for each end and moves it to its host. */
async function cable(hosts) {
  const network = new Network(systemNetlink);
  const ends = [];
  for (const [i, host] of hosts.entries()) {
    const tun = openTun({ binding: nativeBinding(), name: `cable${i}`, offloads: SLAB_HEADER_OFFLOADS, mtu: 1500 });
    await network.links.move(await network.links.find(`cable${i}`), { pid: host.pid });
    await host.ask('address', `cable${i}`, `192.0.2.${i + 1}/24`);
    ends.push({ tun, fd: tun.fd });
  }
  network.close();
  return ends;
}

async function tunnel(hosts) {
  const keys = hosts.map(() => generateKeyPairSync('x25519'));
  const privateHex = key => Buffer.from(key.privateKey.export({ format: 'jwk' }).d, 'base64url').toString('hex');
  const publicHex = key => Buffer.from(key.publicKey.export({ format: 'jwk' }).x, 'base64url').toString('hex');
  await Promise.all(
    hosts.map(async (host, i) => {
      await host.ask('startDevice', `demo${i}`, [
        `private_key=${privateHex(keys[i])}`,
        `listen_port=${PORT}`,
        `public_key=${publicHex(keys[1 - i])}`,
        `endpoint=192.0.2.${2 - i}:${PORT}`,
        `allowed_ip=10.0.0.${2 - i}/32`,
      ]);
      await host.ask('address', `demo${i}`, `10.0.0.${i + 1}/24`);
    }),
  );
}

function report({ messages, text, examples }, screen) {
  const whole = Object.values(messages).reduce((sum, count) => sum + count, 0);
  const counted = Object.entries(messages).map(([name, count]) => `${count.toLocaleString('en')} ${name}`);
  const others = examples.length > 0 ? `, such as ${examples.join(' ')}` : '';
  screen.check(
    messages.other === 0,
    'on the wire',
    `${whole.toLocaleString('en')} messages: ${counted.join(', ')}${others}`,
  );
  screen.check(text === 0, 'in the clear', `the text of every echo, "${TEXT}", was seen ${text} times`);
}
