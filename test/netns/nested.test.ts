/**
 * Behaviours 17, 18, 22 and 23 of the kernel's netns test: tunnels in tunnels, on purpose and by
 * mistake.
 *
 * @module-tag slow
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Device, PROGRAM, startDevice } from './device.ts';
import { type KeyPair, keyPair } from './keys.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, type Pair, tunnelPair } from './pair.ts';
import { mustPing, ping, transfer } from './traffic.ts';

const [DEEP_A, DEEP_B] = ['192.168.242.1', '192.168.242.2'];
/** WireGuard takes 60 bytes over IPv4 and pads to 16. */
const DEEP_MTU = 1340;
const BYTES = 20e6;

describeWith(NETWORK, `tunnels in tunnels (${PROGRAM})`, () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await tunnelPair();
  });
  afterAll(() => pair?.close());

  it('#17: a tunnel through a tunnel carries ping and TCP, both ways', async () => {
    const { lab, a, b } = pair;
    const [keysA, keysB] = [keyPair(), keyPair()];
    const [deepA, deepB] = await Promise.all([
      startDevice(lab, a.namespace, PROGRAM),
      startDevice(lab, b.namespace, PROGRAM),
    ]);
    const ends: [Device, KeyPair, KeyPair, number, string, string][] = [
      [deepA, keysA, keysB, 1001, DEEP_B, `${INNER_B[4]}:1002`],
      [deepB, keysB, keysA, 1002, DEEP_A, `${INNER_A[4]}:1001`],
    ];
    for (const [device, own, other, listenPort, inner, endpoint] of ends)
      await device.set({
        privateKey: own.privateKey,
        listenPort,
        peers: [{ publicKey: other.publicKey, endpoint, allowedIps: [`${inner}/32`] }],
      });
    await deepA.up([`${DEEP_A}/24`], DEEP_MTU);
    await deepB.up([`${DEEP_B}/24`], DEEP_MTU);
    await mustPing(a.namespace, DEEP_B, { count: 5 });
    await mustPing(b.namespace, DEEP_A, { count: 5 });
    for (const [from, to, address] of [
      [a.namespace, b.namespace, DEEP_B],
      [b.namespace, a.namespace, DEEP_A],
    ] as const) {
      const { sentDigest, receivedDigest, bytes } = await transfer(from, to, address!, BYTES);
      expect([receivedDigest, bytes]).toEqual([sentDigest, BYTES]);
    }
    await deepA.process?.stop();
    await deepB.process?.stop();
  });

  it('#22 and #23: reaches a peer whose endpoint is inside another peer, but not one inside itself, without harm', async () => {
    const { lab, a, b } = pair;
    const keysC = keyPair();
    const deep = await startDevice(lab, b.namespace, PROGRAM);
    await deep.set({
      privateKey: keysC.privateKey,
      listenPort: 5,
      peers: [{ publicKey: a.keys.publicKey, allowedIps: [`${DEEP_A}/32`] }],
    });
    await deep.up([`${DEEP_B}/24`], DEEP_MTU);
    await a.namespace.ip(`addr add ${DEEP_A}/24 dev ${a.device.name}`);
    const onion = { publicKey: keysC.publicKey, allowedIps: [`${DEEP_B}/32`] };
    await a.device.set({ peers: [{ ...onion, endpoint: `${INNER_B[4]}:5` }] });
    await mustPing(a.namespace, DEEP_B, { count: 3 });
    await deep.process?.stop();
    // Now in a circle.
    await a.device.set({ peers: [{ ...onion, endpoint: `${DEEP_B}:5` }] });
    const before = (await a.device.peer(keysC.publicKey)).tx;
    expect((await ping(a.namespace, DEEP_B, { count: 3 })).received).toBe(0);
    const { tx } = await a.device.peer(keysC.publicKey);
    expect(tx - before).toBeLessThan(70_000);
    await mustPing(a.namespace, INNER_B[4]);
    await a.device.set({ peers: [{ publicKey: keysC.publicKey, remove: true }] });
  });

  it('#18: sends little when routing leads outer packets into the tunnel, and recovers afterwards', async () => {
    const { a, b } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    const before = (await a.device.peer()).tx;
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, allowedIps: ['0.0.0.0/0'] }] });
    await a.namespace.ip(`route add 10.0.0.2/32 dev ${a.device.name}`);
    expect((await ping(a.namespace, INNER_B[4], { count: 10 })).received).toBe(0);
    expect((await a.device.peer()).tx - before).toBeLessThan(70_000);
    await a.namespace.ip(`route del 10.0.0.2/32 dev ${a.device.name}`);
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, allowedIps: [`${INNER_B[4]}/32`] }] });
    await mustPing(a.namespace, INNER_B[4]);
  });
});
