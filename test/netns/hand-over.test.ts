/**
 * A running device moves from process to process under traffic: no packet is lost or doubled, and
 * nothing that the user can see changes.
 *
 * WGTS_HAND_OVERS sets the number of hand-overs under traffic, WGTS_RATE the packets a second, and
 * WGTS_OTHER_BUILD the command of another build of the program, which takes over in turn with this
 * one.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { SLOW } from '../support/selection.ts';
import type { Running } from './command.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { underTraffic } from './numbered.ts';
import { INNER_B, type Pair, tunnelPair } from './pair.ts';
import { handOver, kernelCounter, startSuccessor } from './successor.ts';
import { mustPing, transfer } from './traffic.ts';

const HAND_OVERS = Number(process.env['WGTS_HAND_OVERS'] ?? 3);
const RATE = Number(process.env['WGTS_RATE'] ?? 2000);
const OTHER = process.env['WGTS_OTHER_BUILD'];
/** Room for the warm-up of each new process, which takes seconds on a busy machine. */
const SECONDS_EACH = 60;

let pair: Pair | undefined;

afterEach(async () => {
  await pair?.close();
  pair = undefined;
});

describeWith(NETWORK, 'a hand-over', () => {
  it('keeps sessions, counts, settings and the control socket, and the old process ends', async () => {
    pair = await tunnelPair({ keepalive: 25 });
    const { a, b } = pair;
    const { name } = a.device;
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    const before = await a.device.peer();
    const config = await a.device.wg('showconf', name);
    const { ino } = statSync(a.device.socket);
    const mtu = await a.namespace.run(['ip', '-d', 'link', 'show', name]);
    const second = await handOver(a.namespace, a.device, a.device.process!);
    expect(await a.device.wg('showconf', name)).toBe(config);
    const after = await a.device.peer();
    expect(after.latestHandshake).toBe(before.latestHandshake);
    expect(after.rx).toBeGreaterThanOrEqual(before.rx);
    expect(after.tx).toBeGreaterThanOrEqual(before.tx);
    // a client that waits in the queue of the socket is answered by the new process
    expect(statSync(a.device.socket).ino).toBe(ino);
    expect((await a.namespace.run(['ip', '-d', 'link', 'show', name])).stdout).toBe(mtu.stdout);
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    await mustPing(b.namespace, '192.168.241.1', { count: 3 });
    // a normal end of the last process removes everything, as without hand-overs
    expect((await second.stop()).code).toBe(0);
    expect(existsSync(a.device.socket)).toBe(false);
    expect(existsSync(join(SOCKET_DIRECTORY, 'handover', name))).toBe(false);
    const link = await a.namespace.run(['ip', 'link', 'show', name], { mayFail: true });
    expect(link.stderr).toContain('does not exist');
  });

  it('loses and doubles no packet, at both ends of a stream', {
    tags: SLOW,
    timeout: HAND_OVERS * SECONDS_EACH * 1000,
  }, async () => {
    pair = await tunnelPair();
    const { a, b } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    const stream = { from: a.namespace, to: b.namespace, address: INNER_B[4], rate: RATE };
    const processes: Running[] = [];
    const result = await underTraffic(stream, async () => {
      const current = { a: a.device.process!, b: b.device.process! };
      for (let n = 0; n < HAND_OVERS; n++) {
        const side = n % 2 === 0 ? 'a' : 'b';
        const program = OTHER !== undefined && n % 4 < 2 ? { command: [OTHER] } : {};
        current[side] = await handOver(pair![side].namespace, pair![side].device, current[side], program);
        processes.push(current[side]);
      }
    });
    const pauses = processes.map(each => Number(/after ([0-9.]+) ms without one/.exec(each.output())?.[1]));
    console.log(
      `${HAND_OVERS} hand-overs, ${RATE} packets/s: ${JSON.stringify(result)}, pauses in ms: ${pauses.join(' ')}`,
    );
    expect(result).toMatchObject({ received: result.sent, doubled: 0 });
  });

  it('does not break a TCP stream', { tags: SLOW, timeout: HAND_OVERS * SECONDS_EACH * 1000 }, async () => {
    pair = await tunnelPair();
    const { a, b } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    const before = await kernelCounter(a.namespace, 'TcpRetransSegs');
    let isDone = false;
    let rounds = 0;
    const handingOver = (async () => {
      let ofA = a.device.process!;
      for (; !isDone && rounds < HAND_OVERS; rounds++) ofA = await handOver(a.namespace, a.device, ofA);
    })();
    let bytes = 0;
    while (rounds < HAND_OVERS) {
      const { sentDigest, receivedDigest, ...stream } = await transfer(
        a.namespace,
        b.namespace,
        INNER_B[4],
        400_000_000,
      );
      expect(receivedDigest).toBe(sentDigest);
      bytes += stream.bytes;
    }
    isDone = true;
    await handingOver;
    const retransmitted = (await kernelCounter(a.namespace, 'TcpRetransSegs')) - before;
    console.log(`${rounds} hand-overs, ${bytes} bytes by TCP, ${retransmitted} segments retransmitted`);
  });

  it('without a process to take over from ends with status 3, and names the remedy', async () => {
    pair = await tunnelPair();
    const { namespace } = pair.a;
    const refused = await startSuccessor(namespace, pair.lab.interfaceName()).exited;
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('there is no one to take over from');
  });

  it('from another network namespace is refused with status 4, and the device goes on', async () => {
    pair = await tunnelPair();
    const { a, b } = pair;
    const refused = await startSuccessor(b.namespace, a.device.name).exited;
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('it runs in another network namespace');
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
  });
});
