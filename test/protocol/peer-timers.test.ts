import { describe, expect, test } from 'vitest';
import {
  PeerTimers,
  TIMER_NEW_HANDSHAKE,
  TIMER_PERSISTENT_KEEPALIVE,
  TIMER_RETRANSMIT_HANDSHAKE,
  TIMER_SEND_KEEPALIVE,
  TIMER_ZERO_KEY,
} from '../../src/protocol/peer-timers.ts';

function made(chance = 0) {
  const scheduled: number[] = [];
  const timers = new PeerTimers(
    at => scheduled.push(at),
    () => chance,
  );
  return { timers, scheduled };
}

/** The timers that fire, polled at every deadline. */
function run(timers: PeerTimers, until: number): [number, number][] {
  const fired: [number, number][] = [];
  for (let now = timers.earliest; now <= until; now = timers.earliest)
    for (let timer = timers.due(now); timer >= 0; timer = timers.due(now)) fired.push([now, timer]);
  return fired;
}

describe('timers of a peer', () => {
  test('are all off at the start and after clearAll', () => {
    const { timers } = made();
    expect([timers.earliest, timers.due(1e15)]).toEqual([Number.POSITIVE_INFINITY, -1]);
    timers.dataSent(0);
    timers.dataReceived(0);
    timers.dataReceived(0);
    timers.handshakeInitiated(0);
    timers.sessionDerived(0);
    timers.clearAll();
    timers.keepaliveFired(0);
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
  });

  test('fire once, not early, and report each deadline', () => {
    const { timers, scheduled } = made();
    timers.handshakeInitiated(100);
    expect(scheduled).toEqual([5100]);
    expect(timers.due(5099.999)).toBe(-1);
    expect(timers.pending(TIMER_RETRANSMIT_HANDSHAKE)).toBe(true);
    expect([timers.due(5100), timers.due(5100)]).toEqual([TIMER_RETRANSMIT_HANDSHAKE, -1]);
  });

  test('have 0 to 333 ms of jitter in retry and new handshake only', () => {
    for (const [chance, extra] of [
      [0, 0],
      [0.5, 167],
      [1 - 2 ** -24, 333],
    ] as const) {
      const { timers } = made(chance);
      timers.persistentKeepalive = 25;
      timers.handshakeInitiated(0);
      timers.dataSent(0);
      timers.dataReceived(0);
      timers.anyAuthenticatedPacketTraversal(0);
      timers.sessionDerived(0);
      expect(run(timers, 1e6)).toEqual([
        [5000 + extra, TIMER_RETRANSMIT_HANDSHAKE],
        [10_000, TIMER_SEND_KEEPALIVE],
        [15_000 + extra, TIMER_NEW_HANDSHAKE],
        [25_000, TIMER_PERSISTENT_KEEPALIVE],
        [540_000, TIMER_ZERO_KEY],
      ]);
    }
  });

  test('that are due together erase keys before a new handshake begins', () => {
    const { timers } = made();
    timers.handshakeInitiated(0);
    timers.dataSent(0);
    timers.dataReceived(0);
    timers.sessionDerived(0);
    expect(timers.due(1e9)).toBe(TIMER_ZERO_KEY);
  });

  test('new handshake: counts from the first data sent; any received message cancels it', () => {
    const { timers } = made();
    timers.dataSent(0);
    timers.dataSent(9000);
    expect(timers.earliest).toBe(15_000);
    timers.anyAuthenticatedPacketReceived();
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
    timers.dataSent(20_000);
    expect(timers.earliest).toBe(35_000);
  });

  test('keepalive: counts from the first data received; any sent message cancels it; more data causes another one', () => {
    const { timers } = made();
    timers.dataReceived(0);
    timers.dataReceived(4000);
    timers.dataReceived(8000);
    expect(run(timers, 10_000)).toEqual([[10_000, TIMER_SEND_KEEPALIVE]]);
    timers.anyAuthenticatedPacketSent();
    timers.keepaliveFired(10_000);
    expect(run(timers, 20_000)).toEqual([[20_000, TIMER_SEND_KEEPALIVE]]);
    timers.keepaliveFired(20_000);
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
    timers.dataReceived(30_000);
    timers.anyAuthenticatedPacketSent();
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
  });

  test('persistent keepalive: off at 0, otherwise postponed by every authenticated message', () => {
    const { timers } = made();
    timers.anyAuthenticatedPacketTraversal(0);
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
    timers.persistentKeepalive = 65_535;
    timers.anyAuthenticatedPacketTraversal(0);
    timers.anyAuthenticatedPacketTraversal(500);
    expect(run(timers, 1e9)).toEqual([[65_535_500, TIMER_PERSISTENT_KEEPALIVE]]);
  });

  test('key erasure: postponed by each new session, not by an abandoned handshake', () => {
    const { timers } = made();
    timers.sessionDerived(0);
    timers.sessionDerived(100_000);
    timers.dataReceived(101_000);
    timers.handshakeGivenUp(200_000);
    expect(timers.pending(TIMER_SEND_KEEPALIVE)).toBe(false);
    expect(run(timers, 1e9)).toEqual([[640_000, TIMER_ZERO_KEY]]);
    timers.handshakeGivenUp(700_000);
    expect(run(timers, 1e9)).toEqual([[1_240_000, TIMER_ZERO_KEY]]);
  });

  test('retry: a completed handshake cancels it', () => {
    const { timers } = made();
    timers.handshakeInitiated(0);
    timers.handshakeComplete();
    expect(timers.earliest).toBe(Number.POSITIVE_INFINITY);
  });
});
