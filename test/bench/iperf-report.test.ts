import { expect, test } from 'vitest';
import { parseTcp, parseUdp } from '#dist/bench/tunnel/iperf-report.js';
import { parsePings } from '#dist/bench/tunnel/ping.js';

const CUBIC = { sender_tcp_congestion: 'cubic' };

test('TCP counts what the receiver got', () => {
  const sum = { seconds: 2, bytes: 5e8, bits_per_second: 2e9 };
  const text = JSON.stringify({
    end: { sum_sent: { ...sum, bytes: 6e8, bits_per_second: 2.4e9 }, sum_received: sum, ...CUBIC },
  });
  expect(parseTcp(text, 'cubic')).toEqual({ bitsPerSecond: 2e9, bytes: 5e8 });
});

test('TCP with an unexpected congestion control is rejected', () => {
  const sum = { seconds: 2, bytes: 5e8, bits_per_second: 2e9 };
  const text = JSON.stringify({ end: { sum_received: sum, ...CUBIC } });
  expect(() => parseTcp(text, 'bbr')).toThrow('the sender used cubic, not bbr');
  expect(() => parseTcp(JSON.stringify({ end: { sum_received: sum } }), 'bbr')).toThrow('unknown congestion control');
});

test('UDP with one sum: losses are subtracted', () => {
  const sum = { seconds: 2, bytes: 1e6, bits_per_second: 4e6, packets: 1000, lost_packets: 100 };
  const found = parseUdp(JSON.stringify({ end: { sum } }));
  expect(found).toMatchObject({ offeredBitsPerSecond: 4e6, bitsPerSecond: 3.6e6, packetsPerSecond: 450 });
  expect(found.lost).toBeCloseTo(0.1);
});

test('UDP with a sum for each end', () => {
  const sent = { seconds: 2, bytes: 1e6, bits_per_second: 4e6, packets: 1000, lost_packets: 0 };
  const received = { ...sent, lost_packets: 500 };
  const found = parseUdp(JSON.stringify({ end: { sum_sent: sent, sum_received: received } }));
  expect(found).toMatchObject({ bitsPerSecond: 2e6, lost: 0.5, packetsPerSecond: 250 });
});

test('reports what went wrong', () => {
  expect(() => parseTcp(JSON.stringify({ error: 'unable to connect' }), 'cubic')).toThrow('unable to connect');
  expect(() => parseTcp('Segmentation fault', 'cubic')).toThrow('Segmentation fault');
  expect(() => parseUdp('{"end":{}}')).toThrow('what was received');
});

test('pings', () => {
  const text = [
    '64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.5 ms',
    '64 bytes from 10.0.0.2: icmp_seq=3 ttl=64 time=0.25 ms',
    '3 packets transmitted, 2 received, 33.3333% packet loss, time 2ms',
  ].join('\n');
  expect(parsePings(text)).toEqual({ sent: 3, times: [0.5, 0.25] });
});
