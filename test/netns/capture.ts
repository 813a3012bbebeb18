/**
 * Captures traffic with tcpdump; the result is parsed here as WireGuard messages or decrypted by
 * tshark.
 */
import { readFileSync, statSync } from 'node:fs';
import { type Running, run, sleep, until } from './command.ts';
import type { Lab, Namespace } from './lab.ts';

/** A UDP datagram over IPv4 or IPv6, unfragmented. */
export interface SeenDatagram {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The TOS byte of IPv4, the traffic class of IPv6. */
  readonly tos: number;
  readonly payload: Buffer;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** A capture is complete once its file has not grown for so many looks. */
const QUIET_LOOKS = 3;
const LOOK_MS = 80;

/** Bytes of a pcap file without packets. */
const FILE_HEADER = 24;

export class Capture {
  readonly file: string;
  readonly #running: Running;

  constructor(file: string, running: Running) {
    this.file = file;
    this.#running = running;
  }

  /** Returns whether the capture has any packet yet. */
  hasAny(): boolean {
    return statSync(this.file).size > FILE_HEADER;
  }

  /** Stops and returns the captured UDP datagrams, in order. */
  async stop(): Promise<SeenDatagram[]> {
    // the kernel hands packets to tcpdump in blocks, and a busy machine hands them over late
    for (let [size, quiet] = [-1, 0]; quiet < QUIET_LOOKS; quiet++) {
      await sleep(LOOK_MS);
      const now = statSync(this.file).size;
      if (now !== size) quiet = 0;
      size = now;
    }
    await this.#running.stop('SIGINT');
    return readCapture(readFileSync(this.file));
  }
}

/** Starts to capture on an interface. `filter` is a pcap expression. */
export async function capture(lab: Lab, namespace: Namespace, device: string, filter = 'udp'): Promise<Capture> {
  const file = lab.file('', `capture-${device}-${Date.now()}.pcap`);
  const running = namespace.start([
    'tcpdump',
    '-i',
    device,
    '-U',
    '--immediate-mode',
    '-B',
    '16384',
    '-Z',
    'root',
    '-s',
    '0',
    '-w',
    file,
    filter,
  ]);
  await until('tcpdump', () => running.output().includes('listening on'));
  return new Capture(file, running);
}

/** Returns 1 for an initiation, 2 response, 3 cookie reply, 4 transport; 0 for anything else. */
export function messageType(payload: Uint8Array): number {
  const [type, a, b, c] = payload;
  return type !== undefined && type >= 1 && type <= 4 && a === 0 && b === 0 && c === 0 ? type : 0;
}

/** Counts datagrams by message type; index 0 counts other datagrams. */
export function countTypes(datagrams: readonly SeenDatagram[]): number[] {
  const counts = [0, 0, 0, 0, 0];
  for (const { payload } of datagrams) counts[messageType(payload)]! += 1;
  return counts;
}

/**
 * Returns fields of the packets that match a display filter, as tshark decrypts them with the key
 * log.
 */
export async function tsharkFields(
  pcap: string,
  keyLog: string,
  filter: string,
  fields: readonly string[],
  port = 51820,
): Promise<string[][]> {
  const { stdout } = await run([
    'tshark',
    '-n',
    '-r',
    pcap,
    '-d',
    `udp.port==${port},wg`,
    '-o',
    `wg.keylog_file:${keyLog}`,
    '-o',
    'wg.dissect_packet:TRUE',
    '-Y',
    filter,
    '-T',
    'fields',
    '-E',
    'separator=|',
    ...fields.flatMap(field => ['-e', field]),
  ]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(line => line.split('|'));
}

const ETHERNET_HEADER = 14;

/** Parses a classic little-endian pcap file of Ethernet frames. */
function readCapture(file: Buffer): SeenDatagram[] {
  const seen: SeenDatagram[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const time = file.readUInt32LE(at) * 1000 + file.readUInt32LE(at + 4) / 1000;
    const datagram = readFrame(file.subarray(at + 16, at + 16 + length), time);
    if (datagram !== undefined) seen.push(datagram);
    at += 16 + length;
  }
  return seen;
}

function readFrame(frame: Buffer, time: number): SeenDatagram | undefined {
  const packet = frame.subarray(ETHERNET_HEADER);
  const version = packet.length > 0 ? packet[0]! >> 4 : 0;
  if (version === 4) {
    const header = (packet[0]! & 15) * 4;
    const source = [...packet.subarray(12, 16)].join('.');
    const destination = [...packet.subarray(16, 20)].join('.');
    return packet[9] === 17 ? readUdp(packet.subarray(header), source, destination, packet[1]!, time) : undefined;
  }
  if (version === 6 && packet[6] === 17) {
    const source = packet.subarray(8, 24).toString('hex');
    const destination = packet.subarray(24, 40).toString('hex');
    return readUdp(packet.subarray(40), source, destination, (packet.readUInt16BE(0) >> 4) & 0xff, time);
  }
  return undefined;
}

function readUdp(
  udp: Buffer,
  source: string,
  destination: string,
  tos: number,
  time: number,
): SeenDatagram | undefined {
  if (udp.length < 8) return undefined;
  return {
    source,
    destination,
    sourcePort: udp.readUInt16BE(0),
    destinationPort: udp.readUInt16BE(2),
    tos,
    payload: udp.subarray(8, Math.max(8, udp.readUInt16BE(4))),
    time,
  };
}
