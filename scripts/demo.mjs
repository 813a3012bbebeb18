#!/usr/bin/env node
// `npm run demo`: two hosts (network namespaces), a cable that sees everything, a tunnel between them; ping, a TCP transfer, and what was on the
// wire. Runs in namespaces of its own, as root or without: nothing of it is left behind, and nothing else on the machine is touched.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { joinCable } from './demo/cable.mjs';
import { enter, HINTS } from './demo/enter.mjs';
import { makeHost, startDevice } from './demo/host.mjs';

const PORT = 51820;
const PINGS = 20;
const BYTES = 500e6;
/** As long as ping's pattern may be. */
const TEXT = 'secret of alice!';
const TRANSFER = fileURLToPath(new URL('transfer.mjs', import.meta.url));

enter(fileURLToPath(import.meta.url));
await main();

async function main() {
  // control sockets of our own, whatever else runs here
  execFileSync('mount', ['-t', 'tmpfs', 'none', '/run']);
  const [{ openTun }, { nativeBinding }] = await Promise.all([
    import('../dist/io/tun.js'),
    import('../dist/io/native-binding.js'),
  ]);
  const hosts = [];
  try {
    console.log(`wireguard-ts on Node ${process.versions.node}: two hosts, one cable, nobody else\n`);
    console.log('  alice 10.0.0.1 ---[ 192.0.2.1 ====== cable ====== 192.0.2.2 ]--- bob 10.0.0.2\n');
    for (const name of ['alice', 'bob']) hosts.push(await makeHost(name));
    const ends = hosts.map((host, i) => {
      const tun = openTun({ binding: nativeBinding(), name: `cable${i}`, mtu: 1500 });
      execFileSync('ip', ['link', 'set', `cable${i}`, 'netns', String(host.pid)]);
      host.run('ip', 'link', 'set', `cable${i}`, 'addrgenmode', 'none');
      host.run('ip', 'addr', 'add', `192.0.2.${i + 1}/24`, 'dev', `cable${i}`);
      host.run('ip', 'link', 'set', `cable${i}`, 'up');
      return { tun, fd: tun.fd };
    });
    const seen = joinCable(ends, PORT, Buffer.from(TEXT));
    const devices = await tunnel(hosts);
    const pings = await ping(hosts[0]);
    const transfer = await send(hosts[1], hosts[0]);
    const good = report(seen, pings, transfer);
    for (const device of devices) device.stop();
    for (const end of ends) end.tun.close();
    process.exitCode = good ? 0 : 1;
  } catch (error) {
    console.error(`  failed: ${error.message}${HINTS[error.code] ?? ''}`);
    process.exitCode = 1;
  } finally {
    for (const host of hosts) host.end();
  }
}

async function tunnel(hosts) {
  const keys = hosts.map(() => generateKeyPairSync('x25519'));
  const privateHex = key => Buffer.from(key.privateKey.export({ format: 'jwk' }).d, 'base64url').toString('hex');
  const publicHex = key => Buffer.from(key.publicKey.export({ format: 'jwk' }).x, 'base64url').toString('hex');
  const devices = [];
  for (const [i, host] of hosts.entries()) {
    const device = await startDevice(host, `demo${i}`);
    devices.push(device);
    await device.set([
      `private_key=${privateHex(keys[i])}`,
      `listen_port=${PORT}`,
      `public_key=${publicHex(keys[1 - i])}`,
      `endpoint=192.0.2.${2 - i}:${PORT}`,
      `allowed_ip=10.0.0.${2 - i}/32`,
    ]);
    host.run('ip', 'link', 'set', `demo${i}`, 'addrgenmode', 'none');
    host.run('ip', 'addr', 'add', `10.0.0.${i + 1}/24`, 'dev', `demo${i}`);
    host.run('ip', 'link', 'set', `demo${i}`, 'up');
  }
  return devices;
}

/** Pings with the text in each; { answered, median } in milliseconds. */
async function ping(host) {
  const pattern = Buffer.from(TEXT).toString('hex');
  const out = await host.runLater('ping', '-i', '0.05', '-c', String(PINGS), '-p', pattern, '10.0.0.2');
  const times = [...out.matchAll(/time=([0-9.]+) ms/g)].map(match => Number(match[1]));
  const sorted = times.toSorted((a, b) => a - b);
  return { answered: times.length, first: times[0], median: sorted[sorted.length >> 1] };
}

/** One TCP stream from alice to bob, with a SHA-256 at each end. */
async function send(bob, alice) {
  const receiver = bob.spawn(process.execPath, TRANSFER, 'receive', '10.0.0.2');
  const lines = [];
  const reader = (async () => {
    let text = '';
    for await (const chunk of receiver.stdout) {
      text += chunk;
      lines.splice(0, lines.length, ...text.split('\n'));
    }
  })();
  while (!lines[0]?.startsWith('port ')) await new Promise(resolve => setTimeout(resolve, 5));
  const sent = JSON.parse(
    await alice.runLater(process.execPath, TRANSFER, 'send', '10.0.0.2', lines[0].slice(5), String(BYTES)),
  );
  await reader;
  return { sent, received: JSON.parse(lines[1]) };
}

function report(seen, pings, { sent, received }) {
  const { messages } = seen;
  const whole = Object.values(messages).reduce((sum, count) => sum + count, 0);
  const gigabits = (received.bytes * 8) / received.seconds / 1e9;
  const lines = [
    [seen.handshake !== undefined, 'handshake', `${seen.handshake?.toFixed(1)} ms from initiation to response`],
    [
      pings.answered === PINGS,
      'ping',
      `${pings.answered} of ${PINGS} answered, median ${pings.median?.toFixed(2)} ms, the first, with the handshake, ${pings.first} ms`,
    ],
    [
      sent.digest === received.digest,
      `TCP, ${received.bytes / 1e6} MB`,
      `${gigabits.toFixed(2)} Gbit/s, SHA-256 ${sent.digest === received.digest ? 'equal at both ends' : 'NOT EQUAL'}`,
    ],
    [
      messages.other === 0,
      'on the wire',
      `${whole.toLocaleString('en')} messages: ${Object.entries(messages)
        .map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
        .join(', ')}`,
    ],
    [seen.text === 0, 'in the clear', `the text in every ping, "${TEXT}", went by ${seen.text} times`],
  ];
  for (const [good, name, text] of lines) console.log(`  ${good ? 'ok    ' : 'FAILED'}  ${name.padEnd(14)}${text}`);
  if (seen.examples.length > 0) console.log(`          such as ${seen.examples.join('\n                  ')}`);
  return lines.every(([good]) => good);
}
