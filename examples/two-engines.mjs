// Two engines in memory: a handshake and one encrypted packet, without root, sockets or a network.
// Run it after `npm ci && npm run build`: node examples/two-engines.mjs
import { randomFillSync } from 'node:crypto';
import * as wg from 'wireguard-ts/engine';

const TYPES = ['', 'initiation', 'response', 'cookie reply', 'data'];

/** `outer` is the host's address on the network, `inner` its address in the tunnel. */
function makeHost(name = 'alice', outer = '192.0.2.1', inner = '10.0.0.1') {
  // the engine has no clock and no source of randomness: the caller provides both
  const engine = new wg.Engine({
    crypto: wg.nobleCrypto,
    cipher: new wg.TwinCipher(wg.noblePacketAead),
    random: bytes => void randomFillSync(bytes),
    wall: () => BigInt(Date.now()) * 1_000_000n,
  });
  const address = /** @type {Uint8Array} */ (wg.parseAddress(inner));
  const endpoint = /** @type {Uint8Array} */ (wg.parseEndpoint(`${outer}:51820`));
  return { name, engine, address, endpoint, privateKey: randomFillSync(new Uint8Array(32)) };
}

/** @typedef {ReturnType<typeof makeHost>} Host */
/** @type {(host: Host, peer: Host) => void} */
function configure({ engine, privateKey }, peer) {
  const publicKey = wg.nobleCrypto.publicKey(peer.privateKey);
  const allowedIps = [{ prefix: wg.makePrefix(peer.address, 32) }];
  engine.configure({ privateKey, peers: [{ publicKey, endpoint: peer.endpoint, allowedIps }] }, performance.now());
  engine.up(performance.now());
}

// Acts as the network: passes the datagrams of one engine to the other.
/** @type {(from: Host, to: Host) => void} */
function carry(from, to) {
  const { slab, desc, count } = from.engine.transmits;
  // the receiver gets each datagram together with the sender's address
  const endpoints = new Uint8Array(count * wg.ENDPOINT_SIZE);
  for (let i = 0; i < count; i++) endpoints.set(from.endpoint, i * wg.ENDPOINT_SIZE);
  const [offset = 0, length = 0] = desc;
  console.log(`${from.name} > ${to.name}: ${TYPES[slab[offset] ?? 0]}, ${length} bytes`);
  to.engine.receive({ slab: slab.slice(), desc: desc.slice(), endpoints, count }, 0, performance.now());
  from.engine.drained();
  const { deliveries } = to.engine;
  for (let i = 0; i < deliveries.count; i++) {
    const [start = 0, size = 0] = deliveries.desc.subarray(i * wg.PACKET_STRIDE);
    console.log(`${to.name} reads: ${new TextDecoder().decode(deliveries.slab.subarray(start + 20, start + size))}`);
  }
}

const [alice, bob] = [makeHost(), makeHost('bob', '192.0.2.2', '10.0.0.2')];
configure(alice, bob);
configure(bob, alice);
// an IPv4 packet as a TUN device delivers it: a virtio header (here zeros), the IP header, the text
const ip = [0x45, 0, 0, 25, 0, 0, 0, 0, 64, 253, 0, 0, ...alice.address, ...bob.address];
const slab = Uint8Array.from([...new Array(wg.VNET_HEADER_SIZE).fill(0), ...ip, ...new TextEncoder().encode('hello')]);
alice.engine.send({ slab, desc: Int32Array.from([0, slab.length]), count: 1 }, 0, performance.now());
carry(alice, bob); // there is no session yet: the packet waits, and a handshake begins
carry(bob, alice);
carry(alice, bob); // the packet itself confirms the session
