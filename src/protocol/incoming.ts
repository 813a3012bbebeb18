/**
 * Transport messages of one batch of datagrams, between their sorting and the verdict on them
 * (inbound.ts). In between, a cipher opens them, perhaps in other threads.
 */
import { MAX_DELIVERIES } from './device.ts';
import type { Keypair } from './keypair.ts';
import type { Peer } from './peer.ts';
import { OPEN_STRIDE } from './transport-cipher.ts';

/** Transport messages that wait to be opened and judged. */
export class Incoming {
  /** Open jobs in the slab of the batch. */
  readonly jobs = new Int32Array(MAX_DELIVERIES * OPEN_STRIDE);
  /** The keypair of each job. */
  readonly keypairs: Keypair<Peer>[] = [];
  count = 0;
}
