import { describe, expect, test } from 'vitest';
import { Keypair } from '../../src/protocol/keypair.ts';
import { Keypairs } from '../../src/protocol/keypairs.ts';
import type { Peer } from '../../src/protocol/peer.ts';

const BORN = 1000;
const make = (initiator = true, localIndex = 1) =>
  new Keypair({
    peer: {} as Peer,
    sendSlot: 0,
    receiveSlot: 1,
    localIndex,
    remoteIndex: 2,
    initiator,
    born: BORN,
  });

function at(counter: bigint): Keypair {
  const keypair = make();
  keypair.counterHigh = Number(counter >> 32n);
  keypair.counterLow = Number(counter & 0xffffffffn);
  return keypair;
}
const counterOf = (keypair: Keypair) => (BigInt(keypair.counterHigh) << 32n) | BigInt(keypair.counterLow);

describe('a keypair', () => {
  test('sends and receives for 180 s', () => {
    const keypair = make();
    for (const [age, good] of [
      [0, true],
      [179_999, true],
      [180_000, false],
      [1e9, false],
    ] as const)
      expect([keypair.canSend(1, BORN + age), keypair.canReceive(BORN + age)]).toEqual([good, good]);
  });

  test('receives but does not send once it is expired', () => {
    const keypair = make();
    keypair.maySend = false;
    expect([keypair.canSend(1, BORN), keypair.canReceive(BORN)]).toEqual([false, true]);
  });

  test('counts past 2^32, 2^53 and 2^63 without a gap', () => {
    for (const start of [2n ** 32n - 2n, 2n ** 53n - 2n, 2n ** 63n - 2n, 2n ** 40n + 2n ** 32n - 1n])
      for (const step of [1, 2, 3, 64]) {
        const keypair = at(start);
        for (let i = 1n; i <= 5n; i++) {
          keypair.advance(step);
          expect(counterOf(keypair)).toBe(start + i * BigInt(step));
        }
      }
  });

  test('requires a renewal from 2^60 messages on', () => {
    expect([at(2n ** 60n - 1n).worn, at(2n ** 60n).worn, at(2n ** 63n).worn]).toEqual([false, true, true]);
  });

  test('yields no counter from 2^64 - 2^13 - 1 on, even if only a part of a burst reaches it', () => {
    const end = 2n ** 64n - 2n ** 13n - 1n;
    expect(at(end - 1n).canSend(1, BORN)).toBe(true);
    expect(at(end - 1n).canSend(2, BORN)).toBe(false);
    expect(at(end - 64n).canSend(64, BORN)).toBe(true);
    expect(at(end).canSend(1, BORN)).toBe(false);
    expect(at(2n ** 64n - 1n).canSend(1, BORN)).toBe(false);
  });
});

describe('the three keypairs of a peer', () => {
  function set() {
    const gone: Keypair[] = [];
    const keypairs = new Keypairs(keypair => gone.push(keypair));
    const shape = () => [keypairs.previous, keypairs.current, keypairs.next];
    return { keypairs, gone, shape };
  }
  const initiated = () => make(true);
  const answered = () => make(false);

  test('our own handshake becomes current at once, and the old current becomes previous', () => {
    const { keypairs, gone, shape } = set();
    const [one, two, three] = [initiated(), initiated(), initiated()];
    keypairs.add(one);
    expect(shape()).toEqual([undefined, one, undefined]);
    keypairs.add(two);
    keypairs.add(three);
    expect(shape()).toEqual([two, three, undefined]);
    expect(gone).toEqual([one]);
  });

  test('a session that we answered waits as next until a message arrives under it', () => {
    const { keypairs, gone, shape } = set();
    const [one, two] = [initiated(), answered()];
    keypairs.add(one);
    keypairs.add(two);
    expect(shape()).toEqual([undefined, one, two]);
    expect(keypairs.confirm(one)).toBe(false);
    expect(keypairs.confirm(two)).toBe(true);
    expect(shape()).toEqual([one, two, undefined]);
    expect(keypairs.confirm(two)).toBe(false);
    expect(gone).toEqual([]);
  });

  test('a second answer replaces an unconfirmed one, and previous is dropped', () => {
    const { keypairs, gone, shape } = set();
    const [one, two, three, four] = [initiated(), initiated(), answered(), answered()];
    keypairs.add(one);
    keypairs.add(two);
    keypairs.add(three);
    keypairs.add(four);
    expect(shape()).toEqual([undefined, two, four]);
    expect(new Set(gone)).toEqual(new Set([one, three]));
  });

  test('our own handshake moves an unconfirmed session to previous, where it still receives', () => {
    const { keypairs, gone, shape } = set();
    const [one, two, three] = [initiated(), answered(), initiated()];
    keypairs.add(one);
    keypairs.add(two);
    keypairs.add(three);
    expect(shape()).toEqual([two, three, undefined]);
    expect(gone).toEqual([one]);
    expect(keypairs.confirm(two)).toBe(false);
  });

  test('all stop sending on expire, and all are erased on clear', () => {
    const { keypairs, gone, shape } = set();
    const [one, two, three] = [initiated(), initiated(), answered()];
    keypairs.add(one);
    keypairs.add(two);
    keypairs.add(three);
    keypairs.expire();
    expect([two.maySend, three.maySend]).toEqual([false, false]);
    keypairs.clear();
    expect(shape()).toEqual([undefined, undefined, undefined]);
    expect(new Set(gone)).toEqual(new Set([one, two, three]));
    expect(gone).toHaveLength(3);
  });
});
