/** Sends small packets through a tunnel, from our own source to our own sink. */
import { fileURLToPath } from 'node:url';
import { sleep, untilReady } from './command.ts';
import type { SourceReport } from './packet-source.ts';
import type { Tunnel } from './tunnel.ts';

export interface PacketStream {
  /** Packets per second. */
  readonly sent: number;
  readonly received: number;
  /** Loss ratio, 0 to 1. */
  readonly lost: number;
}

const PORT = 5300;
/** Milliseconds until the last packet has arrived. */
const TAIL_MS = 200;
const SOURCE = fileURLToPath(new URL('packet-source.js', import.meta.url));
const SINK = fileURLToPath(new URL('packet-sink.js', import.meta.url));

/** @param rate packets per second; 0 means unlimited */
export async function sendPackets(tunnel: Tunnel, size: number, rate: number, seconds: number): Promise<PacketStream> {
  const { left, right } = tunnel.lab;
  const sink = right.namespace.start([process.execPath, SINK, String(PORT), String(size)], { keepInput: true });
  try {
    await untilReady('the packet sink', sink);
    const target = `${tunnel.right}:${PORT}`;
    const argv = [process.execPath, SOURCE, target, String(size), String(rate), String(seconds)];
    const source = JSON.parse(await left.namespace.run(argv)) as SourceReport;
    await sleep(TAIL_MS);
    sink.endInput();
    const { stdout, stderr } = await sink.ended;
    const received = Number(stdout.split('\n')[1]);
    if (!Number.isFinite(received)) throw new Error(`the packet sink failed: ${stderr}`);
    return {
      sent: source.sent / source.seconds,
      received: received / source.seconds,
      lost: source.sent === 0 ? 0 : 1 - received / source.sent,
    };
  } finally {
    await sink.stop();
  }
}
