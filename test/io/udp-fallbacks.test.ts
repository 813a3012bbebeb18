/**
 * The native sockets when the kernel refuses a send. The tests inject each errno that an offload or
 * an address may cause. Every datagram must arrive once and in order, and a counter must record
 * what happened.
 */
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { ENDPOINT_HAS_LOCAL, ENDPOINT_LOCAL, parseEndpoint } from '../../src/base/endpoint.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import { type NativeUdp, openNativeUdp } from '../../src/io/udp.ts';
import { DATAGRAM_ERROR, DATAGRAM_STRIDE, makeDatagramBatch } from '../../src/packet/batch.ts';
import { ascii, batchOf, receive, unpack } from '../support/datagrams.ts';

const { EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, EPERM, EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH, ENOBUFS } = constants.errno;
const LOCAL_DROPPED = 0xff;

const opened: NativeUdp[] = [];
afterEach(() => {
  for (const udp of opened.splice(0)) udp.close();
});

function open(): NativeUdp {
  const udp = openNativeUdp(nativeBinding(), 0, 0);
  opened.push(udp);
  return udp;
}

/** 20 datagrams of 1000 bytes in one range, then a single one. */
function twenty(to: string, local = false): ReturnType<typeof batchOf> {
  const bytes = new Uint8Array(20_000).map((_, i) => i / 1000);
  const endpoint = parseEndpoint(to)!;
  if (local) {
    endpoint[ENDPOINT_HAS_LOCAL] = 1;
    endpoint.set([127, 0, 0, 1], ENDPOINT_LOCAL);
  }
  return batchOf([
    { to: endpoint, bytes, segment: 1000 },
    { to: endpoint, bytes: ascii('last') },
  ]);
}

async function expectTwenty(b: NativeUdp): Promise<void> {
  const got = await receive(b, 21);
  expect(got.map(g => (g.text === 'last' ? 'last' : g.text.charCodeAt(0)))).toEqual([...Array(20).keys(), 'last']);
}

describe('UDP_SEGMENT refused', () => {
  test.each([
    ['EIO', EIO, true],
    ['EOPNOTSUPP', EOPNOTSUPP, true],
    ['EINVAL', EINVAL, false],
    ['EMSGSIZE', EMSGSIZE, false],
  ])('%s: sends without it, loses nothing, counts it; disabled until a change: %#', async (_name, errno, forGood) => {
    const [a, b] = [open(), open()];
    a.fail('gso', errno, 1);
    const batch = twenty(`127.0.0.1:${b.port}`);
    expect(a.send(batch)).toBe(0);
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed: 1, gsoDisabled: forGood ? 1 : 0 });
    // the next batch does not try UDP_SEGMENT, or tries it again
    a.fail('gso', errno, 1);
    expect(a.send(twenty(`127.0.0.1:${b.port}`))).toBe(0);
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed: forGood ? 1 : 2 });
  });

  test.each([
    ['IPv4', '127.0.0.1', '[::1]'],
    ['IPv6', '[::1]', '127.0.0.1'],
  ])('disabled for %s: the other family still uses it', async (_name, here, there) => {
    const [a, b] = [open(), open()];
    a.fail('gso', EIO, 1);
    expect(a.send(twenty(`${here}:${b.port}`))).toBe(0);
    await expectTwenty(b);
    expect(a.offloads).toContain('gso');
    a.fail('gso', EIO, 1);
    expect(a.send(twenty(`${there}:${b.port}`))).toBe(0);
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed: 2, gsoDisabled: 2 });
    expect(a.offloads).not.toContain('gso');
    expect(a.send(twenty(`${here}:${b.port}`))).toBe(0);
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed: 2, gsoDisabled: 2 });
  });

  test.each([
    ['EIO', EIO, 1],
    ['EOPNOTSUPP', EOPNOTSUPP, 1],
    ['EINVAL', EINVAL, 0],
    ['EMSGSIZE', EMSGSIZE, 0],
  ])('%s for two messages of several: all of them stay in order', async (_name, errno, disabled) => {
    const [a, b] = [open(), open()];
    const to = `127.0.0.1:${b.port}`;
    // 64, 64 and 12 in one range; another range became a message before the first was refused
    const bytes = new Uint8Array(140 * 700).map((_, i) => i / 700);
    const batch = batchOf([
      { to, bytes, segment: 700 },
      { to, bytes: bytes.subarray(0, 10 * 700), segment: 700 },
    ]);
    a.fail('gso', errno, 2);
    expect(a.send(batch)).toBe(0);
    const got = await receive(b, 150);
    expect(got.map(g => g.text.length)).toEqual(Array(150).fill(700));
    expect(got.map(g => g.text.charCodeAt(0))).toEqual([...Array(140).keys(), ...Array(10).keys()]);
    expect(a.counters()).toMatchObject({ gsoFailed: 2, gsoDisabled: disabled });
  });

  test.each([
    ['EINVAL', EINVAL],
    ['EMSGSIZE', EMSGSIZE],
  ])('%s 64 times in a row: not tried again until something changes', async (_name, errno) => {
    const [a, b] = [open(), open()];
    const send = async (times: number) => {
      for (let i = 0; i < times; i++) {
        expect(a.send(twenty(`127.0.0.1:${b.port}`))).toBe(0);
        await expectTwenty(b);
      }
    };
    // a message that the kernel accepts in between restarts the count
    a.fail('gso', errno, 63);
    await send(64);
    expect(a.counters()).toMatchObject({ gsoFailed: 63, gsoDisabled: 0, gsoPaused: 0 });
    a.fail('gso', errno, 1000);
    await send(70);
    expect(a.counters()).toMatchObject({ gsoFailed: 63 + 64, gsoDisabled: 0, gsoPaused: 1 });
    a.networkChanged();
    await send(1);
    expect(a.counters()).toMatchObject({ gsoFailed: 63 + 65, gsoDisabled: 0, gsoPaused: 1 });
    a.fail('gso', errno, 0);
    await send(1);
    expect(a.counters()).toMatchObject({ gsoFailed: 63 + 65, gsoDisabled: 0, gsoPaused: 1 });
  });

  test('disabled only until a change, since the route may then be a different one', async () => {
    const [a, b] = [open(), open()];
    a.fail('gso', EIO, 1);
    a.send(twenty(`127.0.0.1:${b.port}`));
    await expectTwenty(b);
    expect(a.offloads).toContain('gso');
    a.networkChanged();
    a.fail('gso', EIO, 1);
    a.send(twenty(`127.0.0.1:${b.port}`));
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed: 2, gsoDisabled: 2 });
  });

  test('of every single datagram as well: segmentation is not the cause, and is tried again', () => {
    const [a, b] = [open(), open()];
    for (let i = 0; i < 70; i++) {
      a.fail('any', EMSGSIZE, 22);
      expect(a.send(twenty(`127.0.0.1:${b.port}`))).toBe(2);
    }
    expect(a.counters()).toMatchObject({ gsoFailed: 70, gsoDisabled: 0, gsoPaused: 0 });
  });

  test('and some single datagrams as well: the range reports an error, and the others arrive', async () => {
    const [a, b] = [open(), open()];
    const batch = twenty(`127.0.0.1:${b.port}`);
    a.fail('any', EMSGSIZE, 3);
    expect(a.send(batch)).toBe(1);
    expect(batch.desc[DATAGRAM_ERROR]).toBe(EMSGSIZE);
    expect(batch.desc[DATAGRAM_STRIDE + DATAGRAM_ERROR]).toBe(0);
    const got = await receive(b, 19);
    expect(got.map(g => (g.text === 'last' ? 'last' : g.text.charCodeAt(0)))).toEqual([
      ...[...Array(20).keys()].slice(2),
      'last',
    ]);
    expect(a.counters()).toMatchObject({ gsoFailed: 1, gsoDisabled: 0 });
  });

  test('together with the local address: everything arrives without either', async () => {
    const [a, b] = [open(), open()];
    const batch = twenty(`127.0.0.1:${b.port}`, true);
    a.fail('any', EINVAL, 2);
    expect(a.send(batch)).toBe(0);
    await expectTwenty(b);
    expect(batch.endpoints[ENDPOINT_HAS_LOCAL]).toBe(LOCAL_DROPPED);
    expect(a.counters()).toMatchObject({ gsoFailed: 1, localDropped: 1 });
  });

  test('by an error unrelated to segmentation: reported, not resent', async () => {
    const [a, b] = [open(), open()];
    a.fail('gso', ENOBUFS, 1);
    const batch = twenty(`127.0.0.1:${b.port}`);
    expect(a.send(batch)).toBe(1);
    expect(batch.desc[DATAGRAM_ERROR]).toBe(ENOBUFS);
    expect(batch.desc[DATAGRAM_STRIDE + DATAGRAM_ERROR]).toBe(0);
    expect((await receive(b, 1)).map(g => g.text)).toEqual(['last']);
  });
});

describe('the local address refused', () => {
  test.each([
    ['EINVAL', EINVAL],
    ['EADDRNOTAVAIL', EADDRNOTAVAIL],
    ['ENETUNREACH', ENETUNREACH],
    ['EHOSTUNREACH', EHOSTUNREACH],
    ['EPERM', EPERM],
  ])('%s: sends from another address, and records that in the endpoint', async (_name, errno) => {
    const [a, b] = [open(), open()];
    a.fail('local', errno, 1);
    const batch = batchOf([{ to: twenty(`127.0.0.1:${b.port}`, true).endpoints.slice(0, 48), bytes: ascii('here') }]);
    expect(a.send(batch)).toBe(0);
    expect(batch.endpoints[ENDPOINT_HAS_LOCAL]).toBe(LOCAL_DROPPED);
    expect(a.counters()).toMatchObject({ localDropped: 1 });
    expect((await receive(b, 1)).map(g => g.text)).toEqual(['here']);
  });

  test('an address that is not ours loses nothing, even with UDP_SEGMENT', async () => {
    const [a, b] = [open(), open()];
    const batch = twenty(`127.0.0.1:${b.port}`, true);
    batch.endpoints.set([203, 0, 113, 77], ENDPOINT_LOCAL);
    batch.endpoints.set([203, 0, 113, 77], 48 + ENDPOINT_LOCAL);
    expect(a.send(batch)).toBe(0);
    expect(batch.endpoints[ENDPOINT_HAS_LOCAL]).toBe(LOCAL_DROPPED);
    await expectTwenty(b);
    // the next batch does not use that address, and is segmented again
    const { gsoFailed } = a.counters();
    expect(a.send(twenty(`127.0.0.1:${b.port}`))).toBe(0);
    await expectTwenty(b);
    expect(a.counters()).toMatchObject({ gsoFailed });
  });
});

test('a lasting error is reported for each affected datagram only', async () => {
  const [a, b] = [open(), open()];
  const to = `127.0.0.1:${b.port}`;
  const batch = batchOf([
    { to, bytes: ascii('1') },
    { to, bytes: ascii('2') },
    { to, bytes: ascii('3') },
  ]);
  a.fail('any', EPERM, 2);
  expect(a.send(batch)).toBe(2);
  expect([0, 1, 2].map(i => batch.desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR])).toEqual([EPERM, EPERM, 0]);
  expect((await receive(b, 1)).map(g => g.text)).toEqual(['3']);
});

test('the first read takes only the socket that woke, later reads take both', async () => {
  const [a, b] = [open(), open()];
  const woken: string[][] = [];
  const batch = makeDatagramBatch(16 * 65_536, 16);
  const done = new Promise<void>(resolve => {
    b.onReadable(() => {
      if (woken.length > 0) return;
      for (let call = 0; call < 2; call++) {
        b.receive(batch);
        woken.push(unpack(batch).map(got => got.text));
      }
      resolve();
    });
  });
  // both datagrams arrive before the loop polls
  a.send(
    batchOf([
      { to: `127.0.0.1:${b.port}`, bytes: ascii('four') },
      { to: `[::1]:${b.port}`, bytes: ascii('six') },
    ]),
  );
  await done;
  expect(woken.map(texts => texts.length)).toEqual([1, 1]);
  expect(woken.flat().sort()).toEqual(['four', 'six']);
});
