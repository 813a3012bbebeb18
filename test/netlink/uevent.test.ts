/** Events of devices: as the kernel writes them, and what else can be in such a socket. */
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { watchGeneration } from '../../src/daemon/vm-generation.ts';
import { systemNetlink } from '../../src/io/netlink.ts';
import { NETLINK_KOBJECT_UEVENT, type NetlinkPort, type NetlinkReceiver } from '../../src/netlink/port.ts';
import { isNewGeneration, parseUevent, UEVENT_GROUP } from '../../src/netlink/uevent.ts';
import { testWith } from '../netns/needs.ts';
import { HANG_MS } from '../support/patience.ts';

const bytes = (...parts: string[]) => new Uint8Array(Buffer.from(parts.map(part => `${part}\0`).join(''), 'latin1'));
const COPIED = [
  'change@/devices/LNXSYSTM:00/LNXSYBUS:00/VMGENCTR:00',
  'ACTION=change',
  'DEVPATH=/devices/LNXSYSTM:00/LNXSYBUS:00/VMGENCTR:00',
  'SUBSYSTEM=acpi',
  'NEW_VMGENID=1',
  'SEQNUM=1234',
];

test('the event of a new generation differs from others', () => {
  const event = parseUevent(bytes(...COPIED))!;
  expect([event.get('SUBSYSTEM'), event.get('SEQNUM')]).toEqual(['acpi', '1234']);
  expect(isNewGeneration(event)).toBe(true);
  const without = COPIED.filter(line => !line.startsWith('NEW'));
  expect(isNewGeneration(parseUevent(bytes(...without))!)).toBe(false);
  expect(isNewGeneration(parseUevent(bytes(...without, 'SYNTH_UUID=0', 'SYNTH_ARG_NEW_VMGENID=1'))!)).toBe(false);
});

test("udev's messages, empty and endless ones are no events of the kernel", () => {
  for (const other of [
    bytes('libudev', 'NEW_VMGENID=1'),
    bytes(''),
    new Uint8Array(0),
    Uint8Array.of(0xfe, 0xed, 0xca, 0xfe),
    bytes(...COPIED, 'X='.padEnd(9000, 'x')),
  ])
    expect(parseUevent(other)).toBeUndefined();
  expect(parseUevent(bytes('add@/devices/x', 'WITHOUT', '=', '=x', 'A=B=C'))).toEqual(new Map([['A', 'B=C']]));
});

test('a device hears of a new generation, also if events were lost, until it stops', () => {
  let receiver: NetlinkReceiver | undefined;
  const opened: unknown[] = [];
  let closed = 0;
  const port: NetlinkPort = {
    open: (protocol, groups, to) => {
      opened.push([protocol, groups]);
      receiver = to;
      return { send: () => {}, close: () => closed++ };
    },
  };
  let heard = 0;
  const ended: string[] = [];
  const stop = watchGeneration(
    port,
    () => heard++,
    reason => ended.push(reason),
  );
  expect(opened).toEqual([[NETLINK_KOBJECT_UEVENT, [UEVENT_GROUP]]]);
  receiver!.datagram(bytes('add@/devices/virtual/net/veth0', 'ACTION=add'));
  expect(heard).toBe(0);
  receiver!.datagram(bytes(...COPIED));
  expect(heard).toBe(1);
  receiver!.lost();
  expect(heard).toBe(2);
  receiver!.failed(new Error('gone'));
  expect([heard, ended]).toEqual([3, ['gone']]);
  stop();
  expect(closed).toBe(2);
});

/** Devices whose events anybody with root may repeat. */
const NULL_DEVICE = '/sys/devices/virtual/mem/null/uevent';
const UUID = '7ab3e3ae-0a75-4a7d-9a4e-6f0d3c9b9f01';

testWith(['root', 'addon'], 'the kernel sends events to this socket', async () => {
  expect(readdirSync('/sys/devices/virtual/mem/null')).toContain('uevent');
  const event = await new Promise<ReadonlyMap<string, string>>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no event')), HANG_MS);
    const channel = systemNetlink.open(NETLINK_KOBJECT_UEVENT, [UEVENT_GROUP], {
      datagram: datagram => {
        const one = parseUevent(datagram);
        if (one?.get('SYNTH_UUID') !== UUID) return;
        clearTimeout(late);
        channel.close();
        resolve(one);
      },
      lost: () => {},
      failed: reject,
    });
    writeFileSync(NULL_DEVICE, `change ${UUID} NEWVMGENID=1`);
  });
  expect(event.get('DEVPATH')).toBe('/devices/virtual/mem/null');
  // root cannot imitate the driver's own variable
  expect(event.get('SYNTH_ARG_NEWVMGENID')).toBe('1');
  expect(isNewGeneration(event)).toBe(false);
});

/** Sends the event in argument 1 to all listeners, twice. Another socket sees that it is sent. */
const FORGER = `
import socket, sys
event = bytes.fromhex(sys.argv[1])
sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ${NETLINK_KOBJECT_UEVENT})
sender.bind((0, 0))
sender.sendto(event, (0, ${UEVENT_GROUP}))
control = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ${NETLINK_KOBJECT_UEVENT})
control.bind((0, ${UEVENT_GROUP}))
sender.sendto(event, (0, ${UEVENT_GROUP}))
while control.recv(8192) != event: pass
print('sent')
`;

testWith(['root', 'addon', 'python3'], 'an event that a process of root forges does not arrive', async () => {
  let heard = 0;
  let isOver = (): void => {};
  const over = new Promise<void>(resolve => {
    isOver = resolve;
  });
  const uuid = '7ab3e3ae-0a75-4a7d-9a4e-6f0d3c9b9f02';
  const watched: NetlinkPort = {
    open: (protocol, groups, receiver) =>
      systemNetlink.open(protocol, groups, {
        ...receiver,
        datagram: bytes => {
          receiver.datagram(bytes);
          if (parseUevent(bytes)?.get('SYNTH_UUID') === uuid) isOver();
        },
      }),
  };
  const stop = watchGeneration(
    watched,
    () => heard++,
    () => {},
  );
  const hex = Buffer.from(bytes(...COPIED)).toString('hex');
  expect(execFileSync('python3', ['-c', FORGER, hex], { encoding: 'utf8', timeout: HANG_MS })).toBe('sent\n');
  // It waits behind the forged ones.
  writeFileSync(NULL_DEVICE, `change ${uuid}`);
  await over;
  stop();
  expect(heard).toBe(0);
});
