/**
 * Watches the nonces on the cable: in what a host sends, no counter occurs twice under a receiver
 * index. Reads tcpdump's output as it comes, so that a soak of days needs no disk.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Counters of one session that are kept exactly; older ones must not come back. */
const WINDOW = 1 << 14;
/** Sessions that are remembered. Each lasts three minutes. */
const MOST_SESSIONS = 4096;
const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
const UDP_PAYLOAD = 14 + 20 + 8;

interface Session {
  greatest: bigint;
  readonly seen: Set<bigint>;
}

export class NonceSniffer {
  readonly #child: ChildProcess;
  readonly #sessions = new Map<string, Session>();
  #rest = Buffer.alloc(0);
  #headerRead = false;
  /** Transport messages seen. */
  messages = 0;
  /** A description of each repeated nonce. */
  readonly repeated: string[] = [];

  /** @param tcpdump the command that writes what the host sends to standard output */
  constructor(tcpdump: readonly string[]) {
    const [file, ...args] = tcpdump as [string, ...string[]];
    this.#child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child.stdout!.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  stop(): Promise<void> {
    this.#child.kill('SIGINT');
    return new Promise(resolve => this.#child.once('close', () => resolve()));
  }

  #read(bytes: Buffer): void {
    let data = Buffer.concat([this.#rest, bytes]);
    if (!this.#headerRead) {
      if (data.length < PCAP_HEADER) {
        this.#rest = data;
        return;
      }
      data = data.subarray(PCAP_HEADER);
      this.#headerRead = true;
    }
    while (data.length >= RECORD_HEADER) {
      const length = data.readUInt32LE(8);
      if (data.length < RECORD_HEADER + length) break;
      this.#frame(data.subarray(RECORD_HEADER, RECORD_HEADER + length));
      data = data.subarray(RECORD_HEADER + length);
    }
    this.#rest = Buffer.from(data);
  }

  /** Looks at an Ethernet frame with IPv4; its snap length ends after the counter. */
  #frame(frame: Buffer): void {
    if (frame.length < UDP_PAYLOAD + 16 || frame.readUInt32LE(UDP_PAYLOAD) !== 4) return;
    this.messages++;
    const index = frame.readUInt32LE(UDP_PAYLOAD + 4);
    const counter = frame.readBigUInt64LE(UDP_PAYLOAD + 8);
    const key = String(index);
    let session = this.#sessions.get(key);
    if (!session) {
      session = { greatest: -1n, seen: new Set() };
      this.#sessions.set(key, session);
      const [oldest] = this.#sessions.keys();
      if (this.#sessions.size > MOST_SESSIONS) this.#sessions.delete(oldest!);
    }
    if (session.seen.has(counter) || counter + BigInt(WINDOW) <= session.greatest)
      this.repeated.push(`receiver index ${index}, counter ${counter}`);
    session.seen.add(counter);
    if (session.seen.size > 2 * WINDOW)
      for (const old of session.seen) if (old + BigInt(WINDOW) <= session.greatest) session.seen.delete(old);
    if (counter > session.greatest) session.greatest = counter;
  }
}
