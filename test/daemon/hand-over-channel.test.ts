/** Messages of a hand-over on a socket that fails as sockets of dying processes do. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HandOverChannel, type HandOverEvents, type HandOverMessage } from '../../src/daemon/hand-over-channel.ts';
import type { NativeBinding } from '../../src/io/native-binding.ts';
import { RightsSocket } from '../../src/io/rights.ts';

const READY = 3;

/** What the socket answers to one read: bytes with descriptors, or an error. */
type Read = { readonly bytes: readonly number[]; readonly descriptors?: readonly number[] } | { readonly code: string };

class FailingSocket {
  readonly reads: Read[] = [];
  sendError: string | undefined;
  closed = 0;
  readable: () => void = () => {};
  readonly socket: RightsSocket;

  constructor() {
    const binding = {
      rightsFd: () => 1000,
      rightsPeer: () => ({ pid: 1, uid: 0 }),
      rightsClose: () => this.closed++,
      rightsSend: () => {
        if (this.sendError) throw errorOf(this.sendError);
      },
      rightsReceive: (_: unknown, into: Uint8Array, places: Int32Array) => this.#receive(into, places),
      pollStart: (_: number, callback: () => void) => {
        this.readable = callback;
        return {};
      },
      pollStop: () => {},
    };
    this.socket = new RightsSocket(binding as unknown as NativeBinding, {} as never);
  }

  #receive(into: Uint8Array, places: Int32Array): number {
    places.fill(-1);
    const next = this.reads.shift();
    if (!next) return -1;
    if ('code' in next) throw errorOf(next.code);
    into.set(next.bytes);
    places.set(next.descriptors ?? []);
    return next.bytes.length;
  }
}

function errorOf(code: string): Error {
  return Object.assign(new Error(`recvmsg: ${code}`), { code });
}

function open(events: Partial<HandOverEvents> = {}) {
  const socket = new FailingSocket();
  const messages: HandOverMessage[] = [];
  const ends: string[] = [];
  const channel = new HandOverChannel(socket.socket, {
    onMessage: message => messages.push(message),
    onBroken: problem => ends.push(problem),
    onEnd: () => ends.push('end'),
    ...events,
  });
  return { socket, channel, messages, ends };
}

describe('a channel of a hand-over', () => {
  test('reads a message that arrives in pieces', () => {
    const { socket, messages, ends } = open();
    socket.reads.push({ bytes: [2, 0, 0] }, { bytes: [0, READY] }, { bytes: [7] });
    socket.readable();
    expect(messages).toEqual([]);
    socket.reads.push({ bytes: [8] });
    socket.readable();
    expect(messages).toMatchObject([{ kind: 'ready', body: Uint8Array.of(7, 8), descriptors: [] }]);
    expect(ends).toEqual([]);
  });

  test('lets pass what the handler of a message throws: the process must end', () => {
    const fail = () => {
      throw new Error('the device does not start');
    };
    const { socket, ends } = open({ onMessage: fail });
    socket.reads.push({ bytes: [0, 0, 0, 0, READY] });
    expect(() => socket.readable()).toThrow('the device does not start');
    expect(ends).toEqual([]);
  });

  test('lets pass what the handler of the end throws', () => {
    const fail = () => {
      throw new Error('the engine does not thaw');
    };
    const { socket } = open({ onEnd: fail });
    socket.reads.push({ bytes: [] });
    expect(() => socket.readable()).toThrow('the engine does not thaw');
  });

  test('takes a reset for the end, because the other process died with messages unread', () => {
    const { socket, ends } = open();
    socket.reads.push({ code: 'ECONNRESET' });
    socket.readable();
    expect(ends).toEqual(['end']);
    expect(socket.closed).toBe(1);
  });

  test('takes half a message for the end: the other process died while it sent', () => {
    const { socket, ends } = open();
    socket.reads.push({ bytes: [1, 0] }, { bytes: [] });
    socket.readable();
    expect(ends).toEqual(['end']);
  });

  test.each([
    ['any other error', { code: 'EMSGSIZE' }, /EMSGSIZE/],
    ['an unknown kind', { bytes: [0, 0, 0, 0, 99] }, /unknown kind 99/],
  ] as const)('reports %s once, reads no more messages, and still sees the end', (_what, read, problem) => {
    const { socket, ends, messages } = open();
    socket.reads.push(read);
    socket.readable();
    expect(ends).toEqual([expect.stringMatching(problem)]);
    const sent = openSync('/dev/null', 'r');
    const later = [{ bytes: [0, 0, 0, 0, READY], descriptors: [sent] }, { code: 'EMSGSIZE' }, { bytes: [] }];
    for (const next of later) {
      expect(socket.closed).toBe(0);
      socket.reads.push(next);
      socket.readable();
    }
    expect(ends).toEqual([expect.stringMatching(problem), 'end']);
    expect(messages).toEqual([]);
    expect(() => fstatSync(sent)).toThrow(/EBADF/);
    expect(socket.closed).toBe(1);
  });

  test.each(['EPIPE', 'ECONNRESET'])('does not fail to send with %s: the end is an event of its own', code => {
    const { socket, channel, ends } = open();
    socket.sendError = code;
    channel.send('received');
    expect(ends).toEqual([]);
  });

  test('fails to send to a process that does not read', () => {
    const { socket, channel } = open();
    socket.sendError = 'ETIMEDOUT';
    expect(() => channel.send('received')).toThrow('ETIMEDOUT');
  });

  test('closes all descriptors of a message that brings too many of them, in pieces', () => {
    const { socket, ends, messages } = open();
    const sent = Array.from({ length: 17 }, () => openSync('/dev/null', 'r'));
    socket.reads.push({ bytes: [1], descriptors: sent.slice(0, 16) }, { bytes: [0], descriptors: sent.slice(16) });
    socket.readable();
    expect(messages).toEqual([]);
    expect(ends).toEqual([expect.stringMatching(/too many descriptors/)]);
    for (const descriptor of sent) expect(() => fstatSync(descriptor)).toThrow(/EBADF/);
  });

  test('closes descriptors of half a message', () => {
    const { socket, channel } = open();
    const sent = openSync('/dev/null', 'r');
    socket.reads.push({ bytes: [1], descriptors: [sent] });
    socket.readable();
    channel.close();
    expect(() => closeSync(sent)).toThrow(/EBADF/);
  });
});
