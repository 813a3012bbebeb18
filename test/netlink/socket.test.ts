/** The socket's error handling, with a kernel that fails on demand. */
import { describe, expect, test } from 'vitest';
import { isRefusal, NetlinkError } from '../../src/netlink/errors.ts';
import type { NetworkEvent } from '../../src/netlink/events.ts';
import { encodeMessage, FLAG, MESSAGE } from '../../src/netlink/message.ts';
import { setI32 } from '../../src/netlink/native-order.ts';
import { Network } from '../../src/netlink/network.ts';
import type { NetlinkPort, NetlinkReceiver } from '../../src/netlink/port.ts';
import { NetlinkSocket } from '../../src/netlink/socket.ts';
import { FakeKernel } from '../support/fake-kernel/kernel.ts';

const tick = () => new Promise(resolve => setImmediate(resolve));
const ADDRESS = { address: Uint8Array.of(10, 0, 0, 1), prefixLength: 24 };

/** A kernel whose answers the test supplies. */
function puppet() {
  const sent: { sequence: number; type: number; flags: number }[] = [];
  let receiver: NetlinkReceiver | undefined;
  let closed = false;
  const port: NetlinkPort = {
    open(_protocol, _groups, to) {
      receiver = to;
      return {
        send: bytes => {
          const view = new DataView(bytes.buffer);
          sent.push({
            type: view.getUint16(4, true),
            flags: view.getUint16(6, true),
            sequence: view.getUint32(8, true),
          });
        },
        close: () => {
          closed = true;
        },
      };
    },
  };
  const answer = (sequence: number, type: number, flags = 0, body = new Uint8Array(4)) =>
    receiver!.datagram(encodeMessage({ type, flags, sequence, port: 1, body }));
  return { port, sent, answer, receiver: () => receiver!, closed: () => closed };
}

describe('refusals', () => {
  test('an injected error fails the next request of that name and changes nothing', async () => {
    const kernel = new FakeKernel();
    const network = new Network(kernel);
    const link = await network.links.create({ name: 'wg0', kind: 'wireguard' });
    kernel.failNext('RTM_NEWADDR', 'EPERM', { times: 2, detail: 'not you' });
    const words = 'adding address 10.0.0.1/24 to wg0: EPERM (Operation not permitted): not you';
    for (let i = 0; i < 2; i++) {
      const error = await network.addresses.add(link, ADDRESS).catch((each: unknown) => each);
      expect(error).toBeInstanceOf(NetlinkError);
      expect(error).toMatchObject({ message: words, errno: 1, code: 'EPERM', detail: 'not you' });
      expect(isRefusal(error, 'ENOENT', 'EPERM')).toBe(true);
      expect(await network.addresses.list(link)).toEqual([]);
    }
    await network.addresses.add(link, ADDRESS);
    expect((await network.addresses.list(link)).length).toBe(1);
    expect(kernel.requests.filter(name => name === 'RTM_NEWADDR').length).toBe(3);
  });

  test('an error injected before a request rejects that request; later requests succeed', async () => {
    const kernel = new FakeKernel();
    const network = new Network(kernel);
    kernel.before = name => {
      if (name === 'RTM_NEWLINK') throw new Error('killed here');
    };
    await expect(network.links.create({ name: 'wg0', kind: 'wireguard' })).rejects.toThrow('killed here');
    expect(await network.links.find('wg0')).toBeUndefined();
  });

  test('a protocol that the kernel lacks throws at once', () => {
    expect(() => new NetlinkSocket(new FakeKernel(), 99)).toThrow(
      'opening a netlink socket: EPROTONOSUPPORT (Protocol not supported): socket: Protocol not supported',
    );
  });
});

describe('dumps', () => {
  test('an interrupted dump is repeated, and lists nothing twice', async () => {
    const kernel = new FakeKernel({ messageSize: 64 });
    kernel.interruptDumps(5);
    expect((await new Network(kernel).links.list()).map(({ name }) => name)).toEqual(['lo']);
    expect(kernel.requests.length).toBe(6);
  });

  test('an interrupted dump is not repeated for ever', async () => {
    const kernel = new FakeKernel();
    kernel.interruptDumps(1000);
    await expect(new Network(kernel).links.list()).rejects.toThrow(
      'listing links: EINTR (Interrupted system call): the objects changed during each of 20 attempts to read them',
    );
  });

  test('one at a time, in the order of the calls; requests do not wait for them', async () => {
    const { port, sent, answer } = puppet();
    const socket = new NetlinkSocket(port, 0);
    const ends: string[] = [];
    for (const name of ['first', 'second']) void socket.dump(name, 18, new Uint8Array(0)).then(() => ends.push(name));
    expect(sent.length).toBe(1);
    answer(sent[0]!.sequence, MESSAGE.done, FLAG.multi);
    await tick();
    expect(sent.length).toBe(2);
    void socket.request('third', 16, 0, new Uint8Array(0)).then(() => ends.push('third'));
    expect(sent.length).toBe(3);
    answer(sent[2]!.sequence, MESSAGE.error, 0, new Uint8Array(20));
    answer(sent[1]!.sequence, MESSAGE.done, FLAG.multi);
    await tick();
    expect(ends).toEqual(['first', 'third', 'second']);
  });

  test('an errno at the end of a dump is a refusal with an explanation', async () => {
    const { port, sent, answer } = puppet();
    const listing = new NetlinkSocket(port, 0).dump('listing it', 18, new Uint8Array(0));
    const words = [...'Invalid header\0'].map(char => char.charCodeAt(0));
    const body = Uint8Array.of(0, 0, 0, 0, 4 + words.length, 0, 1, 0, ...words);
    setI32(body, 0, -22);
    answer(sent[0]!.sequence, MESSAGE.done, FLAG.multi | FLAG.explained, body);
    await expect(listing).rejects.toThrow('listing it: EINVAL (Invalid argument): Invalid header');
  });
});

describe('losses', () => {
  test('of answers: a request is rejected, a dump is repeated', async () => {
    const { port, sent, answer, receiver } = puppet();
    const socket = new NetlinkSocket(port, 0);
    const request = socket.request('adding it', 16, 0, new Uint8Array(0));
    const dump = socket.dump('listing it', 18, new Uint8Array(0));
    receiver().lost();
    await expect(request).rejects.toThrow(/^adding it: ENOBUFS .*the change may or may not have been made$/);
    answer(sent[1]!.sequence, MESSAGE.done, FLAG.multi);
    expect(sent.length).toBe(3);
    answer(sent[2]!.sequence, 16, FLAG.multi);
    answer(sent[2]!.sequence, MESSAGE.done, FLAG.multi);
    expect((await dump).length).toBe(1);
  });

  test('of events: resync', async () => {
    const kernel = new FakeKernel();
    const network = new Network(kernel);
    const events: NetworkEvent[] = [];
    network.watch(['link'], event => events.push(event));
    kernel.loseEvents();
    await network.links.create({ name: 'wg0', kind: 'wireguard' });
    expect(events.map(event => event.of)).toEqual(['resync', 'link']);
  });
});

test('the number of pending requests is limited by the room for their answers', async () => {
  const { port, sent, answer } = puppet();
  const socket = new NetlinkSocket(port, 0);
  const all = Array.from({ length: 100 }, () => socket.request('it', 16, 0, new Uint8Array(0)));
  expect(sent.length).toBe(64);
  for (let i = 0; i < 100; i++) answer(sent[i]!.sequence, MESSAGE.error, 0, new Uint8Array(20));
  await Promise.all(all);
});

test('answers without a request are ignored; bytes that are not netlink end the socket', async () => {
  const { port, sent, answer, receiver, closed } = puppet();
  const socket = new NetlinkSocket(port, 0);
  const request = socket.request('adding it', 16, 0, new Uint8Array(0));
  answer(sent[0]!.sequence + 1, MESSAGE.error, 0, new Uint8Array(20));
  receiver().datagram(new Uint8Array(5));
  await expect(request).rejects.toThrow("adding it: a message's header has 16 bytes; at byte 0 only 5 are left");
  expect(closed()).toBe(true);
  await expect(socket.dump('listing it', 18, new Uint8Array(0))).rejects.toThrow(/^listing it: a message's header/);
});
