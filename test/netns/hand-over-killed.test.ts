/**
 * A hand-over between real processes, of which one is killed before each of its messages: the
 * device goes on in exactly one process, or the one that is left ends with an error.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { HandOverKind } from '../../src/daemon/hand-over-channel.ts';
import { RightsSocket } from '../../src/io/rights.ts';
import { until } from './command.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { HandOverRelay } from './hand-over-relay.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type Pair, tunnelPair } from './pair.ts';
import { handOver, startSuccessor } from './successor.ts';
import { mustPing } from './traffic.ts';

const LIMIT_MS = 120_000;

let pair: Pair | undefined;
let relay: HandOverRelay | undefined;

afterEach(async () => {
  relay?.close();
  relay = undefined;
  await pair?.close();
  pair = undefined;
});

const BOTH: readonly HandOverKind[] = ['hello', 'offer', 'ready', 'state', 'received', 'erased'];
/** After these messages, the taker has the descriptors and can go on alone. */
const SURVIVED: readonly HandOverKind[] = ['received', 'erased'];

describeWith(NETWORK, 'a hand-over', () => {
  it.each([...BOTH, 'running'] as const)('whose taker is killed before %s', { timeout: LIMIT_MS }, async kind => {
    pair = await tunnelPair();
    const { namespace, device } = pair.a;
    await mustPing(namespace, INNER_B[4]);
    relay = new HandOverRelay(pathOf(device.name), kind);
    const taker = startSuccessor(namespace, device.name);
    await relay.stopped;
    await taker.stop('SIGKILL');
    relay.close();
    await mustPing(namespace, INNER_B[4], { count: 5 });
    // wg is answered, and the next take-over works
    expect((await device.peers()).length).toBe(1);
    relay = undefined;
    await handOver(namespace, device, device.process!);
    await mustPing(namespace, INNER_B[4], { count: 5 });
  });

  it.each(BOTH)('whose giver is killed before %s', { timeout: LIMIT_MS }, async kind => {
    pair = await tunnelPair();
    const { namespace, device } = pair.a;
    await mustPing(namespace, INNER_B[4]);
    relay = new HandOverRelay(pathOf(device.name), kind);
    const taker = startSuccessor(namespace, device.name);
    await relay.stopped;
    await device.process!.stop('SIGKILL');
    relay.close();
    if (SURVIVED.includes(kind)) {
      await until('the taker to run the device', () => taker.output().includes('which died: new sessions'));
      await mustPing(namespace, INNER_B[4], { count: 5 });
    } else {
      const { code, stderr } = await taker.exited;
      expect(code, stderr).not.toBe(0);
      const link = await namespace.run(['ip', 'link', 'show', device.name], { mayFail: true });
      expect(link.stderr).toContain('does not exist');
    }
  });

  it(
    'with nonsense, half messages, silence and a thousand connections does not disturb the device',
    async () => {
      pair = await tunnelPair();
      const { namespace, device } = pair.a;
      await mustPing(namespace, INNER_B[4]);
      const path = pathOf(device.name);
      const silent: RightsSocket[] = [];
      for (let n = 0; n < 1000; n++) {
        const socket = await connectWhenFree(path);
        const noise = Buffer.alloc(1 + ((n * 37) % 400), n);
        try {
          if (n % 3 === 0) socket.send(noise, [], 100);
          // a hello that announces more than arrives, and one with descriptors
          if (n % 3 === 1) socket.send(Buffer.from([200, 0, 0, 0, 0, 1, 2, 3]), n % 2 ? [0, 1, 2] : [], 100);
        } catch {
          // it was closed at once
        }
        if (n % 50 === 2) silent.push(socket);
        else socket.close();
      }
      await mustPing(namespace, INNER_B[4], { count: 20 });
      for (const socket of silent) socket.close();
      await handOver(namespace, device, device.process!);
      await mustPing(namespace, INNER_B[4], { count: 5 });
    },
    LIMIT_MS,
  );
});

function pathOf(name: string): string {
  return join(SOCKET_DIRECTORY, 'handover', name);
}

/** Connects once the queue of the socket has room. */
function connectWhenFree(path: string): Promise<RightsSocket> {
  return until('room in the queue of the socket', () => {
    try {
      return RightsSocket.connect(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
      throw error;
    }
  });
}
