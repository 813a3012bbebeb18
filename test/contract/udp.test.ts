/**
 * Every adapter of the Udp port keeps one contract: the addon's sockets, node:dgram's, and those in
 * memory.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/base/address.ts';
import { ENDPOINT_FAMILY, ENDPOINT_HAS_LOCAL, ENDPOINT_LOCAL, ENDPOINT_SIZE } from '../../src/base/endpoint.ts';
import { MemoryNetwork } from '../../src/io/memory/udp.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import type { Udp } from '../../src/io/ports.ts';
import { copyDescriptor } from '../../src/io/rights.ts';
import { adoptNativeUdp, openNativeUdp } from '../../src/io/udp.ts';
import { openDgramUdp } from '../../src/io/udp-dgram.ts';
import { DATAGRAM_ERROR, DATAGRAM_LENGTH, DATAGRAM_STRIDE, makeDatagramBatch } from '../../src/packet/batch.ts';
import { until } from '../netns/command.ts';
import { testWith } from '../netns/needs.ts';
import { ascii, batchOf, receive, unpack } from '../support/datagrams.ts';

interface Adapter {
  readonly name: string;
  open(port: number, mark: number): Udp;
  /** Whether it reports the local address and the TOS byte of received datagrams. */
  readonly local: boolean;
  /** Whether it may send more than one datagram in one message. */
  readonly batches: boolean;
}

const network = new MemoryNetwork();
const ADAPTERS: readonly Adapter[] = [
  { name: 'native', open: (port, mark) => openNativeUdp(nativeBinding(), port, mark), local: true, batches: true },
  {
    name: 'native without offloads',
    open: (port, mark) => openNativeUdp(nativeBinding(), port, mark, 0),
    local: true,
    batches: false,
  },
  { name: 'native, taken over', open: (port, mark) => takenOver(port, mark), local: true, batches: true },
  { name: 'dgram', open: (port, mark) => openDgramUdp(port, mark), local: false, batches: false },
  {
    name: 'memory',
    open: port => network.open([parseAddress('127.0.0.1')!, parseAddress('::1')!], port),
    local: true,
    batches: false,
  },
];

/** Goes on with copies of the descriptors, as the process that takes a device over. */
function takenOver(port: number, mark: number): Udp {
  const udp = openNativeUdp(nativeBinding(), port, mark);
  udp.pause();
  const copies = udp.given().map(descriptor => (descriptor < 0 ? descriptor : copyDescriptor(descriptor)));
  udp.close();
  return adoptNativeUdp(nativeBinding(), copies);
}

const opened: Udp[] = [];
afterEach(() => {
  for (const udp of opened.splice(0)) udp.close();
});

describe.each(ADAPTERS)('$name', adapter => {
  const open = (port = 0, mark = 0): Udp => {
    const udp = adapter.open(port, mark);
    opened.push(udp);
    return udp;
  };

  test.each(['127.0.0.1', '[::1]'])('carries datagrams over %s, and reports the sender', async host => {
    const [a, b] = [open(), open()];
    expect(a.port).toBeGreaterThan(0);
    const out = batchOf([
      { to: `${host}:${b.port}`, bytes: ascii('one') },
      { to: `${host}:${b.port}`, bytes: ascii('two!') },
    ]);
    expect(a.send(out)).toBe(0);
    const got = await receive(b, 2);
    expect(got.map(g => g.text)).toEqual(['one', 'two!']);
    expect(got.map(g => g.from)).toEqual([`${host}:${a.port}`, `${host}:${a.port}`]);
  });

  test('an answer to the endpoint as received arrives', async () => {
    const [a, b] = [open(), open()];
    a.send(batchOf([{ to: `127.0.0.1:${b.port}`, bytes: ascii('question') }]));
    const [question] = await receive(b, 1);
    expect(question!.endpoint[ENDPOINT_HAS_LOCAL]).toBe(adapter.local ? 1 : 0);
    if (adapter.local)
      expect([...question!.endpoint.subarray(ENDPOINT_LOCAL, ENDPOINT_LOCAL + 4)]).toEqual([127, 0, 0, 1]);
    const answer = batchOf([{ to: question!.endpoint, bytes: ascii('answer') }]);
    expect(b.send(answer)).toBe(0);
    expect(answer.endpoints[ENDPOINT_HAS_LOCAL]).toBe(question!.endpoint[ENDPOINT_HAS_LOCAL]);
    expect((await receive(a, 1))[0]!.text).toBe('answer');
  });

  test.each(['127.0.0.1', '[::1]'])(
    'one range of many datagrams arrives as separate datagrams, also beyond the limits of one call (%s)',
    async host => {
      const [a, b] = [open(), open()];
      const bytes = new Uint8Array(1400 * 130 + 77).map((_, i) => (i / 1400) & 0xff);
      expect(a.send(batchOf([{ to: `${host}:${b.port}`, bytes, segment: 1400 }]))).toBe(0);
      const got = await receive(b, 131);
      expect(got.map(g => g.text.length)).toEqual([...new Array(130).fill(1400), 77]);
      expect(got.map(g => g.text.charCodeAt(0))).toEqual(got.map((_, i) => i & 0xff));
    },
  );

  test('an empty datagram is a datagram, and the largest one goes through', async () => {
    const [a, b] = [open(), open()];
    a.send(
      batchOf([
        { to: `127.0.0.1:${b.port}`, bytes: ascii('') },
        { to: `127.0.0.1:${b.port}`, bytes: new Uint8Array(65_507) },
      ]),
    );
    expect((await receive(b, 2)).map(g => g.text.length)).toEqual([0, 65_507]);
  });

  test.each([
    ['127.0.0.1', 65_507],
    ['[::1]', 65_527],
  ])('over %s a datagram has %i bytes at most, alone or one of several', async (host, most) => {
    const [a, b] = [open(), open()];
    const to = `${host}:${b.port}`;
    const bytes = new Uint8Array(2 * most + 2);
    const out = batchOf([
      { to, bytes: bytes.subarray(0, most) },
      { to, bytes: bytes.subarray(0, most + 1) },
      { to, bytes: bytes.subarray(0, most), segment: most },
      { to, bytes: bytes.subarray(0, most + 1), segment: most + 1 },
      { to, bytes: bytes.subarray(0, most + 5), segment: most },
      { to, bytes, segment: most + 1 },
      { to, bytes: ascii('after') },
    ]);
    expect(a.send(out)).toBe(3);
    const errors = Array.from({ length: out.count }, (_, i) => out.desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR]! > 0);
    expect(errors).toEqual([false, true, false, true, false, true, false]);
    expect((await receive(b, 5)).map(g => g.text.length)).toEqual([most, most, most, 5, 5]);
  });

  test('reports an error for an unsendable datagram, and sends the others', async () => {
    const [a, b] = [open(), open()];
    const to = `127.0.0.1:${b.port}`;
    const out = batchOf([
      { to, bytes: ascii('one') },
      { to, bytes: ascii('bad') },
      { to, bytes: ascii('bad') },
      { to, bytes: ascii('two') },
    ]);
    out.endpoints[ENDPOINT_SIZE + ENDPOINT_FAMILY] = 0;
    out.desc[2 * DATAGRAM_STRIDE + DATAGRAM_LENGTH] = 1 << 30;
    expect(a.send(out)).toBe(2);
    expect([0, 1, 2, 3].map(i => out.desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR]! > 0)).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect((await receive(b, 2)).map(g => g.text)).toEqual(['one', 'two']);
  });

  test('a port in use is an EADDRINUSE that names it; a closed port can be reopened', () => {
    const a = open();
    expect(() => open(a.port)).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE', message: expect.stringContaining(`${a.port}`) }),
    );
    a.close();
    a.close();
    expect(open(a.port).port).toBe(a.port);
  });

  test('skips a datagram larger than the whole batch, and continues with the next', async () => {
    const [a, b] = [open(), open()];
    const to = `127.0.0.1:${b.port}`;
    a.send(
      batchOf([{ to, bytes: new Uint8Array(60_000) }, ...['one', 'two'].map(text => ({ to, bytes: ascii(text) }))]),
    );
    // The addon rejects batches of less than 64 KiB.
    const small = makeDatagramBatch(adapter.name.startsWith('native') ? 65_536 : 50_000, 1);
    const got: number[] = [];
    await until('both', () => {
      if (b.receive(small) > 0) got.push(small.desc[DATAGRAM_LENGTH]!);
      return got.length >= (adapter.name.startsWith('native') ? 3 : 2);
    });
    expect(got.slice(-2)).toEqual([3, 3]);
  });

  test('receive fills no more than its batch, and calls again for the rest', async () => {
    const [a, b] = [open(), open()];
    const items = Array.from({ length: 9 }, (_, i) => ({ to: `127.0.0.1:${b.port}`, bytes: ascii(`number ${i}`) }));
    const small = makeDatagramBatch(2 * 65_536, 2);
    const texts: string[] = [];
    const done = new Promise<void>(resolve => {
      b.onReadable(() => {
        const count = b.receive(small);
        expect(count).toBeLessThanOrEqual(2);
        texts.push(...unpack(small).map(g => g.text));
        if (texts.length === 9) resolve();
      });
    });
    a.send(batchOf(items));
    await done;
    expect(texts).toEqual(items.map((_, i) => `number ${i}`));
  });

  test('receive takes no more than its limit, and calls again for the rest', async () => {
    const [a, b] = [open(), open()];
    const roomy = makeDatagramBatch(8 * 65_536, 8);
    const texts: string[] = [];
    const done = new Promise<void>(resolve => {
      b.onReadable(() => {
        expect(b.receive(roomy, 1)).toBe(1);
        expect(roomy.count).toBe(1);
        texts.push(...unpack(roomy).map(g => g.text));
        if (texts.length === 3) resolve();
      });
    });
    // Different lengths, so that UDP_GRO does not join them.
    a.send(batchOf(['a', 'bb', 'ccc'].map(text => ({ to: `127.0.0.1:${b.port}`, bytes: ascii(text) }))));
    await done;
    expect(texts).toEqual(['a', 'bb', 'ccc']);
    expect(b.receive(roomy, 0)).toBe(0);
  });

  test('calls nothing after close', async () => {
    const [a, b] = [open(), open()];
    let calls = 0;
    b.onReadable(() => calls++);
    a.send(batchOf([{ to: `127.0.0.1:${b.port}`, bytes: ascii('late') }]));
    b.close();
    await sleep(30);
    expect(calls).toBe(0);
    expect(b.receive(makeDatagramBatch(65_536, 1))).toBe(0);
  });

  test('port 0 is an error of that datagram only', async () => {
    const [a, b] = [open(), open()];
    const batch = batchOf([
      { to: '127.0.0.1:0', bytes: ascii('x') },
      { to: `127.0.0.1:${b.port}`, bytes: ascii('y') },
    ]);
    expect(a.send(batch)).toBe(1);
    expect((await receive(b, 1)).map(got => got.text)).toEqual(['y']);
  });

  if (adapter.local)
    test.each(['127.0.0.1', '[::1]'])('carries the TOS byte (%s)', async host => {
      const [a, b] = [open(), open()];
      a.send(
        batchOf([
          { to: `${host}:${b.port}`, bytes: ascii('x'), tos: 0x88 },
          { to: `${host}:${b.port}`, bytes: ascii('y') },
        ]),
      );
      expect((await receive(b, 2)).map(g => g.tos)).toEqual([0x88, 0]);
    });

  if (adapter.name !== 'dgram')
    testWith(['root'], 'accepts a mark', () => {
      expect(() => open(0, 77).setMark(0)).not.toThrow();
    });
  else
    test('refuses a mark, and names the remedy', () => {
      expect(() => open(0, 77)).toThrow(/fwmark 77.*addon/);
      expect(() => open().setMark(5)).toThrow(/fwmark 5/);
    });
});
