/** A listener that cannot accept: no descriptor is free, or the owner of the connection fails. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { NativeBinding } from '../../src/io/native-binding.ts';
import { RightsListener, type RightsSocket } from '../../src/io/rights.ts';

let errors: string[];
let sockets: RightsSocket[];
let polls: (() => void)[];
let closed: unknown[];
let accepting: () => unknown;
let peer: () => unknown;
let listener: RightsListener;

beforeEach(() => {
  vi.useFakeTimers();
  [errors, sockets, polls, closed] = [[], [], [], []];
  accepting = () => 'connection';
  peer = () => ({ pid: 1, uid: 0 });
  const binding = {
    rightsListen: () => 'listener',
    rightsFd: () => 1000,
    rightsAccept: () => accepting(),
    rightsPeer: () => peer(),
    rightsClose: (handle: unknown) => closed.push(handle),
    pollStart: (_: number, callback: () => void) => {
      polls.push(callback);
      return callback;
    },
    pollStop: (poll: () => void) => polls.splice(polls.indexOf(poll), 1),
  };
  listener = new RightsListener('/unused', 8, binding as unknown as NativeBinding);
});

afterEach(() => {
  listener.close();
  vi.useRealTimers();
});

function listen(onConnection = (socket: RightsSocket) => void sockets.push(socket)): void {
  listener.onConnection(onConnection, error => void errors.push(error.message));
}

/** What the event loop does while a connection waits. */
function turn(): void {
  for (const poll of [...polls]) poll();
}

function failWith(message: string): () => never {
  return () => {
    throw new Error(message);
  };
}

test('a connection that cannot be accepted ends neither the process nor the listening, and makes no busy loop', () => {
  listen();
  accepting = failWith('accept: EMFILE');
  turn();
  expect(polls).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(polls).toHaveLength(1);
  turn();
  expect(errors).toEqual(['accept: EMFILE']);
  accepting = () => 'connection';
  vi.advanceTimersByTime(1000);
  turn();
  expect(sockets).toHaveLength(1);
  accepting = failWith('accept: ENFILE');
  turn();
  expect(errors).toEqual(['accept: EMFILE', 'accept: ENFILE']);
});

test('a connection whose owner fails is closed, also when nothing is known about it', () => {
  listen(failWith('uv_poll_init: ENOMEM'));
  turn();
  expect(closed).toEqual(['connection']);
  expect(errors).toEqual(['uv_poll_init: ENOMEM']);
  peer = failWith('SO_PEERCRED: EPERM');
  vi.advanceTimersByTime(1000);
  turn();
  expect(closed).toEqual(['connection', 'connection']);
});

test('a listener that was closed while it rested does not listen again', () => {
  listen();
  accepting = failWith('accept: EMFILE');
  turn();
  listener.close();
  vi.advanceTimersByTime(5000);
  expect(polls).toEqual([]);
});
