// Runs a WireGuard device: a TUN interface, UDP sockets, and an engine between them. Needs root and
// /dev/net/tun. Run it after `npm ci && npm run build`:
//   node examples/device.mjs wg0 PRIVATE_KEY PEERS_PUBLIC_KEY 192.0.2.2:51820 10.0.0.0/24
// In another terminal, give the interface an address and bring it up:
//   ip address add 10.0.0.1/24 dev wg0; ip link set wg0 up
import { randomFillSync } from 'node:crypto';
import { formatKeyBase64, parseEndpoint, parseKeyBase64, parsePrefix } from 'wireguard-ts/config';
import { DeviceLoop, Engine, makeBackend, offloadsWithout, systemClock } from 'wireguard-ts/device';

const [name = 'wg0', ...settings] = process.argv.slice(2);
const [privateKey, publicKey, endpoint, prefix] = [
  parseKeyBase64(settings[0] ?? ''),
  parseKeyBase64(settings[1] ?? ''),
  parseEndpoint(settings[2] ?? ''),
  parsePrefix(settings[3] ?? ''),
];
if (!privateKey || !publicKey || !endpoint || !prefix)
  throw new Error('usage: device.mjs NAME PRIVATE_KEY PEERS_PUBLIC_KEY ENDPOINT ALLOWED_IP');

// use the addon's ciphers and sockets if they work on this machine, otherwise Node's
const backend = makeBackend('auto', offloadsWithout(new Set()));
const clock = systemClock();
const engine = new Engine({
  crypto: backend.crypto,
  cipher: backend.cipher,
  random: bytes => void randomFillSync(bytes),
  wall: clock.wall,
});
const loop = new DeviceLoop({
  engine,
  // creates the interface, which is down at first
  tun: backend.openTun(name, undefined, 1420),
  openUdp: backend.openUdp,
  clock,
  log: { verbose: () => {}, error: console.error, notice: console.error },
  onGone: () => console.error(`${name} was deleted`),
});
loop.configure({ privateKey, listenPort: 51820, peers: [{ publicKey, endpoint, allowedIps: [{ prefix }] }] });
loop.start(); // opens the sockets and forwards packets once the interface is up
console.log(`${name} runs with ${backend.description}`);

const timer = setInterval(() => {
  for (const peer of loop.status().peers)
    console.log(`${formatKeyBase64(peer.publicKey)}: ${peer.rxBytes} bytes in, ${peer.txBytes} bytes out`);
}, 5_000);

// closing erases the keys and removes the interface
process.once('SIGINT', () => {
  clearInterval(timer);
  loop.close();
});
