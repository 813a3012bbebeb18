/**
 * Measures requests and answers of one byte over TCP, one at a time on each of 1, 16 and 64
 * connections: how many in a second, and how long one takes. Two programs of a few lines ask and
 * answer (transactions.py).
 */
import { join } from 'node:path';
import { type Figure, ROOT } from '../../results.ts';
import { untilReady } from '../command.ts';
import { ALL_KINDS, type TunnelMeasure } from '../measure.ts';
import type { Tunnel } from '../tunnel.ts';

const PROGRAM = ['python3', join(ROOT, 'bench/tunnel/transactions.py')];
const PORT = 5400;
const CONNECTIONS = [1, 16, 64];

interface Answers {
  readonly perSecond: number;
  /** Percentiles in microseconds. */
  readonly p50: number;
  readonly p99: number;
}

export const transactions: TunnelMeasure = {
  needs: 'tunnel',
  kinds: ALL_KINDS,
  figures: CONNECTIONS.flatMap(figuresOf),

  async take(tunnel, { seconds }, wanted) {
    const taken: Record<string, number> = {};
    for (const count of CONNECTIONS) {
      if (!figuresOf(count).some(({ name }) => wanted.has(name))) continue;
      const { perSecond, p50, p99 } = await ask(tunnel, count, seconds);
      Object.assign(taken, { [`tr${count}`]: perSecond, [`tr${count}-p50`]: p50, [`tr${count}-p99`]: p99 });
    }
    return taken;
  },
};

function figuresOf(count: number): Figure[] {
  const title = `Request and answer, ${count === 1 ? 'one connection' : `${count} connections`}`;
  const time = { unit: 'us', better: 'less', digits: 0 } as const;
  return [
    { name: `tr${count}`, title, unit: '/s', better: 'more', digits: 0 },
    { name: `tr${count}-p50`, title: `${title}, median`, ...time },
    { name: `tr${count}-p99`, title: `${title}, 99th percentile`, ...time },
  ];
}

async function ask(tunnel: Tunnel, count: number, seconds: number): Promise<Answers> {
  const { left, right } = tunnel.lab;
  const server = right.namespace.start([...PROGRAM, 'serve', tunnel.right, String(PORT)]);
  try {
    await untilReady('the server of requests', server);
    const argv = [...PROGRAM, 'ask', tunnel.right, String(PORT), String(count), String(seconds)];
    return JSON.parse(await left.namespace.run(argv)) as Answers;
  } finally {
    await server.stop();
  }
}
