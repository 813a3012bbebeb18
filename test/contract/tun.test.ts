/** The contract of every Tun adapter: the addon, merging in C or in TypeScript, and memory. */
import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { nativeBinding } from '../../src/io/native-binding.ts';
import type { Tun } from '../../src/io/ports.ts';
import { NativeTun, openTun } from '../../src/io/tun.ts';
import {
  makePacketBatch,
  PACKET_LENGTH,
  PACKET_OFFSET,
  PACKET_STRIDE,
  type PacketBatch,
  VNET_HEADER_SIZE,
} from '../../src/packet/batch.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { packetBatch } from '../support/packet-batch.ts';
import { HANG_MS } from '../support/patience.ts';
import { kernelHost, memoryHost, TUN_HOST_PORT, type TunHost } from '../support/tun-host.ts';
import { udpPacket, udpPayload } from '../support/udp-packet.ts';

interface Kind {
  readonly name: string;
  make(): Promise<TunHost>;
}

const KINDS: readonly Kind[] = [
  { name: 'native', make: () => kernelHost(false) },
  { name: 'native, merging in TypeScript', make: () => kernelHost(true) },
  { name: 'native, taken over', make: () => kernelHost(false, true) },
  { name: 'memory', make: async () => memoryHost() },
];

let host: TunHost | undefined;
afterEach(() => {
  host?.close();
  host = undefined;
});

inOwnNamespace(import.meta.url, [], () => {
  describe.each(KINDS)('$name', kind => {
    const make = async (): Promise<TunHost> => {
      host = await kind.make();
      return host;
    };

    test('writes more packets than one call of the addon takes, in order', async () => {
      const { tun, heard } = await make();
      const payloads = Array.from({ length: 2500 }, (_, i) => `number ${String(i).padStart(4, '0')}`);
      expect(write(tun, payloads)).toBe(0);
      await until(() => heard().length === payloads.length);
      expect(heard()).toEqual(payloads);
    });

    test('delivers whole packets behind a vnet header, and calls again for the rest', async () => {
      const { tun, say } = await make();
      const small = makePacketBatch(70_000, 2);
      const payloads: string[] = [];
      const done = new Promise<void>(resolve => {
        tun.onReadable(() => {
          expect(tun.read(small)).toBeLessThanOrEqual(2);
          for (let i = 0; i < small.count; i++) {
            const at = small.desc[i * PACKET_STRIDE + PACKET_OFFSET]! + VNET_HEADER_SIZE;
            const packet = small.slab.subarray(
              at,
              at + small.desc[i * PACKET_STRIDE + PACKET_LENGTH]! - VNET_HEADER_SIZE,
            );
            const payload = udpPayload(packet, '10.9.0.2');
            if (payload !== undefined) payloads.push(payload);
          }
          if (payloads.length >= 5) resolve();
        });
      });
      for (let i = 0; i < 5; i++) say(`packet ${i}`);
      await done;
      expect(payloads).toEqual([0, 1, 2, 3, 4].map(i => `packet ${i}`));
    });

    test('delivers no more packets than requested, and calls again for the rest', async () => {
      const { tun, say } = await make();
      const roomy = makePacketBatch(8 * 65_536, 8);
      let lone = 0;
      const done = new Promise<void>(resolve => {
        tun.onReadable(() => {
          expect(tun.read(roomy, 1)).toBeLessThanOrEqual(1);
          lone += roomy.count;
          if (lone >= 3) resolve();
        });
      });
      for (const text of ['a', 'bb', 'ccc']) say(text);
      await done;
      expect(tun.read(roomy, 0)).toBe(0);
    });

    test('accepts packets in order, however many of one flow', async () => {
      const { tun, heard } = await make();
      const payloads = Array.from({ length: 150 }, (_, i) => `number ${String(i).padStart(4, '0')}`);
      expect(write(tun, payloads)).toBe(0);
      await until(() => heard().length >= 150);
      expect(heard()).toEqual(payloads);
    });

    test('reports up or down, MTU and name, and their changes', async () => {
      const { tun, up, mtu, rename } = await make();
      let calls = 0;
      tun.onStatus(() => calls++);
      expect(tun.status()).toMatchObject({ up: true, mtu: 1420 });
      mtu(1280);
      up(false);
      await until(() => calls > 0);
      expect(tun.status()).toMatchObject({ up: false, mtu: 1280 });
      rename('another');
      expect(tun.status()!.name).toBe('another');
    });

    test('drops and counts packets while the device is down', async () => {
      const { tun, up } = await make();
      up(false);
      expect(write(tun, ['lost', 'lost, too, but longer'])).toBe(2);
    });

    test('drops a descriptor out of range, and accepts the others', async () => {
      const { tun, heard } = await make();
      const batch = batchOf(['one', 'two', 'three']);
      batch.desc[PACKET_STRIDE + PACKET_OFFSET] = batch.slab.length - 4;
      expect(tun.write(batch)).toBe(1);
      await until(() => heard().length === 2);
      expect(heard()).toEqual(['one', 'three']);
    });

    test('a deleted device is gone for good', async () => {
      const { tun, remove } = await make();
      let calls = 0;
      tun.onReadable(() => calls++);
      remove();
      await until(() => calls > 0);
      expect(tun.read(makePacketBatch(70_000, 4))).toBe(-1);
      expect(write(tun, ['into the void'])).toBe(-1);
      expect(tun.status()).toBeUndefined();
    });

    test('close is idempotent, and nothing is called after it', async () => {
      const { tun, say } = await make();
      let calls = 0;
      tun.onReadable(() => calls++);
      tun.onStatus(() => calls++);
      tun.close();
      tun.close();
      say('anybody there?');
      await sleep(50);
      expect(calls).toBe(0);
      expect(tun.read(makePacketBatch(70_000, 4))).toBe(-1);
    });
  });

  test('a merged packet that the kernel refuses is written as its original packets', async () => {
    host = await kernelHost(false);
    const { tun, heard } = host;
    if (!(tun instanceof NativeTun)) throw new Error('not native');
    const payloads = Array.from({ length: 40 }, (_, i) => `number ${String(i).padStart(4, '0')}`);
    expect(tun.offloads).toContain('uso');
    write(tun, payloads);
    await until(() => heard().length === 40);
    expect(tun.counters()).toMatchObject({ merged: 40, unmerged: 0, refused: 0 });
    for (const errno of [
      constants.errno.EIO,
      constants.errno.EINVAL,
      constants.errno.EMSGSIZE,
      constants.errno.EOPNOTSUPP,
    ]) {
      const before = heard().length;
      tun.failMerged(errno, 1);
      expect(write(tun, payloads)).toBe(0);
      await until(() => heard().length === before + 40);
      expect(heard().slice(before)).toEqual(payloads);
    }
    expect(tun.counters()).toMatchObject({ merged: 40, unmerged: 160, refused: 0 });
  });

  test('its queue holds 2000 packets, unless another program set a length before or after', () => {
    const queue = (name: string): unknown =>
      (JSON.parse(execFileSync('ip', ['-j', 'link', 'show', name], { encoding: 'utf8' })) as { txqlen: number }[])[0]!
        .txqlen;
    const opened = (name: string): unknown => {
      const tun = openTun({ binding: nativeBinding(), name, mtu: 1420 });
      try {
        return queue(name);
      } finally {
        tun.close();
      }
    };
    const name = `tun${process.pid}q`.slice(0, 15);
    expect(opened(name)).toBe(2000);
    execFileSync('ip', ['tuntap', 'add', name, 'mode', 'tun', 'vnet_hdr']);
    execFileSync('ip', ['link', 'set', name, 'txqueuelen', '64']);
    expect(opened(name)).toBe(64);
    execFileSync('ip', ['link', 'set', name, 'txqueuelen', '1000']);
    expect(opened(name)).toBe(1000);
    execFileSync('ip', ['link', 'del', name]);
    const tun = openTun({ binding: nativeBinding(), name, mtu: 1420 });
    try {
      execFileSync('ip', ['link', 'set', name, 'txqueuelen', '500', 'up']);
      tun.status();
      execFileSync('ip', ['link', 'set', name, 'down']);
      execFileSync('ip', ['link', 'set', name, 'up']);
      tun.status();
      expect(queue(name)).toBe(500);
    } finally {
      tun.close();
    }
  });

  test('a name in use, or an invalid one, is an error with the code of the system', async () => {
    host = await kernelHost(false);
    const name = host.tun.status()!.name;
    const open = (wanted: string) => openTun({ binding: nativeBinding(), name: wanted, mtu: 1420 });
    expect(() => open(name)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    expect(() => open('lo')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => open('much-too-long-for-a-name')).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });
});

const batchOf = (payloads: readonly string[]): PacketBatch =>
  packetBatch(payloads.map(payload => udpPacket('10.9.0.2', '10.9.0.1', TUN_HOST_PORT, payload)));
const write = (tun: Tun, payloads: readonly string[]): number => tun.write(batchOf(payloads));

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + HANG_MS; !condition(); await sleep(2))
    if (Date.now() > end) throw new Error('it did not come to that');
}
