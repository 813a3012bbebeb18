/**
 * A device that gets its private key last: pending work starts then, as in the kernel (netlink.c,
 * wg_set_device).
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sleep, until } from './command.ts';
import { PROGRAM, startDevice } from './device.ts';
import { type KeyPair, keyPair } from './keys.ts';
import { describeWith, NETWORK } from './needs.ts';
import { OUTER_B, type Pair, PORT_B, tunnelPair } from './pair.ts';

describeWith(NETWORK, `a private key that is set last (${PROGRAM})`, () => {
  let pair: Pair;
  let keys: KeyPair;
  beforeEach(async () => {
    pair = await tunnelPair();
    keys = keyPair();
    await pair.b.device.set({ peers: [{ publicKey: keys.publicKey, allowedIps: ['192.168.99.1/32'] }] });
  });
  afterEach(() => pair?.close());

  it('starts the handshake for a keepalive that was configured before', async () => {
    const { lab, a, b } = pair;
    const late = await startDevice(lab, a.namespace);
    const endpoint = `${OUTER_B[4]}:${PORT_B}`;
    await late.set({ peers: [{ publicKey: b.keys.publicKey, endpoint, keepalive: 1 }] });
    await late.up([]);
    await sleep(2500);
    expect((await late.peer()).tx).toBe(0);
    await late.set({ privateKey: keys.privateKey });
    await until('a handshake', async () => (await late.peer()).latestHandshake > 0);
    // The key is removed and set again.
    await late.wg('set', late.name, 'private-key', '/dev/null');
    await sleep(2500);
    const before = (await b.device.peer(keys.publicKey)).rx;
    await late.set({ privateKey: keys.privateKey });
    await until('another handshake', async () => (await b.device.peer(keys.publicKey)).rx >= before + 148);
  });
});
