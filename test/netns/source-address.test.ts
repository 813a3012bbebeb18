/** Behaviours 26, 27 and 28 of the kernel's netns test: the local address of an answer. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sleep } from './command.ts';
import { PROGRAM } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_A, INNER_B, OUTER_B, type Pair, PORT_A, PORT_B, tunnelPair } from './pair.ts';
import { mustPing } from './traffic.ts';

describeWith(NETWORK, `source address (${PROGRAM})`, () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await tunnelPair({ psk: true });
  });
  afterAll(() => pair?.close());

  it('#26: when its local address is deleted, traffic continues from another (IPv4)', async () => {
    const { a, b } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    expect((await b.device.peer()).endpoint).toBe(`10.0.0.1:${PORT_A}`);
    await a.namespace.ip('addr add 10.0.0.10/24 dev eth0', 'addr del 10.0.0.1/24 dev eth0');
    await mustPing(a.namespace, INNER_B[4]);
    expect((await b.device.peer()).endpoint).toBe(`10.0.0.10:${PORT_A}`);
    await mustPing(b.namespace, INNER_A[4]);
  });

  it('#27: when its local address is deleted, traffic continues from another (IPv6)', async () => {
    const { a, b } = pair;
    await a.device.set({ peers: [{ publicKey: b.keys.publicKey, endpoint: `[fd00:aa::2]:${PORT_B}` }] });
    await mustPing(a.namespace, INNER_B[4]);
    expect((await b.device.peer()).endpoint).toBe(`[fd00:aa::1]:${PORT_A}`);
    await a.namespace.ip('addr add fd00:aa::10/96 dev eth0 nodad', 'addr del fd00:aa::1/96 dev eth0');
    await mustPing(a.namespace, INNER_B[4]);
    expect((await b.device.peer()).endpoint).toBe(`[fd00:aa::10]:${PORT_A}`);
    await mustPing(b.namespace, INNER_A[4]);
  });

  for (const [family, address] of [
    ['IPv4, first address', OUTER_B[4]],
    ['IPv4, second address', '10.0.0.20'],
    ['IPv6, first address', OUTER_B[6]],
    ['IPv6, second address', 'fd00:aa::20'],
  ] as const) {
    it(`#28: a responder with several addresses answers from the one that was addressed (${family})`, async () => {
      const { a, b } = pair;
      const second = address.endsWith('20');
      if (second)
        await b.namespace.ip(`addr replace ${address}/${address.includes(':') ? '96 dev eth0 nodad' : '24 dev eth0'}`);
      const asked = address.includes(':') ? `[${address}]:${PORT_B}` : `${address}:${PORT_B}`;
      await a.device.set({ peers: [{ publicKey: b.keys.publicKey, endpoint: asked }] });
      await mustPing(a.namespace, INNER_B[4], { count: 3 });
      // An answer from another address would have moved the endpoint.
      expect((await a.device.peer()).endpoint).toBe(asked);
    });
  }

  it('#28: a new handshake is also answered from the address that was addressed', async () => {
    const { a, b } = pair;
    for (const asked of [`10.0.0.20:${PORT_B}`, `[fd00:aa::20]:${PORT_B}`]) {
      // Timestamps are coarse (17 ms), and a returning peer must not look like a replay of itself.
      await sleep(50);
      await a.device.set({ peers: [{ publicKey: b.keys.publicKey, remove: true }] });
      await a.device.set({
        peers: [
          {
            publicKey: b.keys.publicKey,
            presharedKey: pair.psk ?? '',
            endpoint: asked,
            allowedIps: [`${INNER_B[4]}/32`],
          },
        ],
      });
      await mustPing(a.namespace, INNER_B[4]);
      expect((await a.device.peer()).endpoint).toBe(asked);
    }
  });
});
