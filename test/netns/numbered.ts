/** Numbered datagrams between two namespaces while something happens to the tunnel. */
import { join } from 'node:path';
import { until } from './command.ts';
import { ROOT } from './device.ts';
import type { Namespace } from './lab.ts';

const NUMBERED = join(ROOT, 'test/netns/numbered-traffic.mjs');
const PORT = '7000';
/** Milliseconds without a datagram after which the receiver ends, once the sender has ended. */
const SILENCE_MS = '2000';

export interface Numbered {
  readonly sent: number;
  readonly received: number;
  readonly doubled: number;
  /** The longest time without a datagram, in milliseconds. */
  readonly longest: number;
}

export interface NumberedStream {
  readonly from: Namespace;
  readonly to: Namespace;
  /** Address of `to`. */
  readonly address: string;
  /** Datagrams a second. */
  readonly rate: number;
}

/** Sends numbered datagrams for as long as the action takes, and a second longer. */
export async function underTraffic(
  { from, to, address, rate }: NumberedStream,
  action: () => Promise<void>,
): Promise<Numbered> {
  const sink = to.start([process.execPath, NUMBERED, 'receive', address, PORT, SILENCE_MS]);
  await until('the receiver', () => sink.stdout().includes('ready'));
  const source = from.start([process.execPath, NUMBERED, 'send', address, PORT, String(rate)]);
  try {
    await action();
    await new Promise(resolve => setTimeout(resolve, 1000));
  } finally {
    if (source.result() === undefined) process.kill(source.pid, 'SIGTERM');
  }
  const { stdout, stderr, code } = await source.exited;
  if (code !== 0) throw new Error(`the sender ended with ${code}: ${stderr}`);
  process.kill(sink.pid, 'SIGTERM');
  const received = await sink.exited;
  return { ...JSON.parse(received.stdout.split('\n')[1]!), sent: Number(/sent (\d+)/.exec(stdout)?.[1]) };
}
