/** Small packets through a tunnel, from our own source to our own sink. */
import { fileURLToPath } from 'node:url';
import { sleep, until } from './command.ts';
import type { SourceReport } from './packet-source.ts';
import type { Tunnel } from './tunnel.ts';

export interface PacketStream {
  /** Packets a second. */
  readonly sent: number;
  readonly received: number;
  /** 0 to 1. */
  readonly lost: number;
}

const PORT = 5300;
/** Milliseconds until the last packet is through. */
const TAIL_MS = 200;
const SOURCE = fileURLToPath(new URL('packet-source.js', import.meta.url));
const SINK = fileURLToPath(new URL('packet-sink.js', import.meta.url));

/** @param rate packets a second; 0: as fast as it goes */
export async function sendPackets(tunnel: Tunnel, size: number, rate: number, seconds: number): Promise<PacketStream> {
  const { left, right } = tunnel.lab;
  const sink = right.place.start([process.execPath, SINK, String(PORT), String(size)], { keepInput: true });
  try {
    await until('the sink of packets', () => sink.stdout().includes('ready') || sink.outcome() !== undefined);
    const target = `${tunnel.right}:${PORT}`;
    const argv = [process.execPath, SOURCE, target, String(size), String(rate), String(seconds)];
    const source = JSON.parse(await left.place.run(argv)) as SourceReport;
    await sleep(TAIL_MS);
    sink.endInput();
    const { stdout, stderr } = await sink.ended;
    const received = Number(stdout.split('\n')[1]);
    if (!Number.isFinite(received)) throw new Error(`the sink of packets: ${stderr}`);
    return {
      sent: source.sent / source.seconds,
      received: received / source.seconds,
      lost: source.sent === 0 ? 0 : 1 - received / source.sent,
    };
  } finally {
    await sink.stop();
  }
}
