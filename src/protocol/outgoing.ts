/**
 * Datagrams to send, and the seal jobs of those that are not sealed yet. An engine fills one at a
 * time; others may be with the threads that seal and send them.
 */
import { ENDPOINT_HAS_LOCAL, ENDPOINT_SIZE } from '../base/endpoint.ts';
import { type DatagramBatch, makeDatagramBatch } from '../packet/batch.ts';
import type { Peer } from './peer.ts';
import { SEAL_STRIDE, type TransportCipher } from './transport-cipher.ts';

/** The most seal jobs of one input: packets per call of the cipher. */
export const MOST_JOBS = 512;
/** Value of ENDPOINT_HAS_LOCAL after sending: the local address no longer exists. */
const LOCAL_LOST = 0xff;
const NOTHING = new Uint8Array(0);

/** Datagrams to send, and how to seal them. */
export class Outgoing {
  readonly batch: DatagramBatch;
  /** The peer of each datagram; undefined for cookie replies. */
  readonly peers: (Peer | undefined)[] = [];
  /** Seal jobs into the slab of `batch`. Their results are predicted. */
  readonly jobs = new Int32Array(MOST_JOBS * SEAL_STRIDE);
  /** Jobs that are not sealed yet. */
  jobCount = 0;
  /** The slab of the packets that these jobs seal. */
  input: Uint8Array = NOTHING;

  constructor(slabSize: number, datagrams: number) {
    this.batch = makeDatagramBatch(slabSize, datagrams);
  }

  /** Seals what is not sealed yet. */
  seal(cipher: TransportCipher): void {
    if (this.jobCount > 0) cipher.seal(this.input, this.batch.slab, this.jobs, this.jobCount);
    this.jobCount = 0;
    this.input = NOTHING;
  }

  /** Makes peers forget the local addresses that were gone when their datagrams were sent. */
  forgetLost(): void {
    const { count, endpoints } = this.batch;
    for (let i = 0; i < count; i++)
      if (endpoints[i * ENDPOINT_SIZE + ENDPOINT_HAS_LOCAL] === LOCAL_LOST) this.peers[i]?.clearSource();
  }

  clear(): void {
    this.batch.count = 0;
    this.jobCount = 0;
    this.input = NOTHING;
  }
}
