/** A host with a TUN device for tests: of this kernel, taken over, or in memory. */
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { MemoryTun } from '../../src/io/memory/tun.ts';
import { nativeBinding } from '../../src/io/native-binding.ts';
import type { Tun } from '../../src/io/ports.ts';
import { copyDescriptor } from '../../src/io/rights.ts';
import { adoptTun, type NativeTun, openTun } from '../../src/io/tun.ts';
import { udpPacket, udpPayload } from './udp-packet.ts';

/** Where the host listens. */
export const TUN_HOST_PORT = 7777;

/** The TUN's host, as tests need it: it has 10.9.0.1, and the TUN leads to 10.9.0.2. */
export interface TunHost {
  readonly tun: Tun;
  say(payload: string): void;
  heard(): string[];
  up(up: boolean): void;
  mtu(mtu: number): void;
  rename(name: string): void;
  remove(): void;
  close(): void;
}

let made = 0;

export async function kernelHost(twin: boolean, isTakenOver = false): Promise<TunHost> {
  let tun = openTun({ binding: nativeBinding(), name: `tun${process.pid}x${made++}`.slice(0, 15), mtu: 1420, twin });
  const name = () => tun.status()!.name;
  const ip = (...args: string[]) => execFileSync('ip', args);
  ip('addr', 'add', '10.9.0.1/24', 'dev', name());
  ip('link', 'set', name(), 'up');
  if (isTakenOver) tun = takenOver(tun);
  const socket: Socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(TUN_HOST_PORT, '10.9.0.1');
  await once(socket, 'listening');
  const texts: string[] = [];
  socket.on('message', bytes => texts.push(bytes.toString()));
  socket.on('error', () => {});
  return {
    tun,
    say: payload => socket.send(payload, TUN_HOST_PORT, '10.9.0.2'),
    heard: () => texts,
    up: up => void ip('link', 'set', name(), up ? 'up' : 'down'),
    mtu: mtu => void ip('link', 'set', name(), 'mtu', String(mtu)),
    rename: wanted => {
      ip('link', 'set', name(), 'down');
      ip('link', 'set', name(), 'name', wanted);
    },
    remove: () => void ip('link', 'del', name()),
    close: () => {
      socket.close();
      tun.close();
    },
  };
}

/** Goes on with a copy of the descriptor, as the process that takes a device over. */
function takenOver(tun: NativeTun): NativeTun {
  tun.status();
  tun.pause();
  const { descriptor, kept } = tun.given();
  const next = adoptTun({ binding: nativeBinding() }, { descriptor: copyDescriptor(descriptor), kept });
  tun.close();
  return next;
}

export function memoryHost(): TunHost {
  let status = { up: true, mtu: 1420, name: 'mem0' };
  const tun = new MemoryTun(status);
  const change = (part: Partial<typeof status>) => {
    status = { ...status, ...part };
    tun.change(status);
  };
  return {
    tun,
    say: payload => tun.put(udpPacket('10.9.0.1', '10.9.0.2', TUN_HOST_PORT, payload)),
    heard: () => tun.written.map(packet => udpPayload(packet, '10.9.0.1')!),
    up: up => change({ up }),
    mtu: mtu => change({ mtu }),
    rename: name => change({ name }),
    remove: () => tun.change(undefined),
    close: () => tun.close(),
  };
}
