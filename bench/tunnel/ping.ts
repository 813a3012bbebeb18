/** Measures round-trip times with ping(8). */
import type { Namespace } from './namespace.ts';

export interface PingOptions {
  readonly count: number;
  /** Seconds. */
  readonly interval: number;
}

export interface Pings {
  readonly sent: number;
  /** Milliseconds of the answered pings, in order. */
  readonly times: readonly number[];
}

/** Rejects if no ping is answered. */
export async function ping(namespace: Namespace, address: string, { count, interval }: PingOptions): Promise<Pings> {
  const running = namespace.start(['ping', '-n', '-c', String(count), '-i', String(interval), '-W', '2', address]);
  const timer = setTimeout(() => void running.stop(), count * interval * 1000 + 20_000);
  const { stdout, stderr } = await running.ended;
  clearTimeout(timer);
  const pings = parsePings(stdout);
  if (pings.times.length === 0) throw new Error(`no answer from ${address}: ${stderr || stdout.slice(-200)}`);
  return pings;
}

export function parsePings(text: string): Pings {
  const times = [...text.matchAll(/time=([\d.]+) ms/g)].map(match => Number(match[1]));
  return { sent: Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0), times };
}
