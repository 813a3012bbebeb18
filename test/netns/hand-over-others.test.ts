/**
 * Hand-overs in other surroundings: the far end is another implementation, the endpoints are IPv6,
 * the interface is down.
 *
 * @module-tag slow
 */
import { afterEach, expect, it } from 'vitest';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type Pair, type PairOptions, tunnelPair } from './pair.ts';
import { handOver, kernelCounter } from './successor.ts';
import { mustPing, transfer } from './traffic.ts';

const HAND_OVERS = 5;
const BYTES = 200_000_000;

let pair: Pair | undefined;

afterEach(async () => {
  await pair?.close();
  pair = undefined;
});

/** Hands the device of `a` over several times during transfers, and checks what arrived. */
async function duringTransfers(options: PairOptions): Promise<void> {
  pair = await tunnelPair(options);
  const { a, b } = pair;
  const family = options.outer ?? 4;
  await mustPing(a.namespace, INNER_B[family]);
  const { latestHandshake } = await a.device.peer();
  let process = a.device.process!;
  const retransmitted = async (during: () => Promise<void>): Promise<number> => {
    const before = await kernelCounter(a.namespace, 'TcpRetransSegs');
    for (let round = 0; round < HAND_OVERS; round++) {
      const moving = transfer(a.namespace, b.namespace, INNER_B[family], BYTES);
      await during();
      const { sentDigest, receivedDigest } = await moving;
      expect(receivedDigest).toBe(sentDigest);
    }
    return (await kernelCounter(a.namespace, 'TcpRetransSegs')) - before;
  };
  // some programs at the far end lose segments at full speed without any hand-over
  const without = await retransmitted(async () => {});
  const withThem = await retransmitted(async () => {
    process = await handOver(a.namespace, a.device, process);
  });
  expect((await a.device.peer()).latestHandshake).toBe(latestHandshake);
  console.log(
    `${HAND_OVERS} hand-overs, ${JSON.stringify(options)}: ${JSON.stringify({ with: withThem, without })} segments retransmitted`,
  );
}

describeWith(NETWORK, 'a hand-over', () => {
  it('over IPv6 endpoints keeps the session', () => duringTransfers({ outer: 6, psk: true }));

  it('while the interface is down leaves it down, and it comes up with a new session', async () => {
    pair = await tunnelPair();
    const { a } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    await a.namespace.ip(`link set ${a.device.name} down`);
    await handOver(a.namespace, a.device, a.device.process!);
    const link = await a.namespace.run(['ip', 'link', 'show', a.device.name]);
    expect(link.stdout).not.toContain(',UP');
    await a.namespace.ip(`link set ${a.device.name} up`, `route replace ${INNER_B[4]}/32 dev ${a.device.name}`);
    await mustPing(a.namespace, INNER_B[4]);
  });
});

describeWith([...NETWORK, 'wireguard-go'], 'with wireguard-go at the far end, a hand-over', () => {
  it('keeps the session', () => duringTransfers({ b: 'wireguard-go' }));
});
