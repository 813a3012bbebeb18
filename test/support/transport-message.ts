/** Seals and opens single transport messages with a TransportCipher, by the path of packets. */
import { expect } from 'vitest';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { readU32le } from '../../src/packet/byte-order.ts';
import { TRANSPORT_COUNTER, TRANSPORT_HEADER_SIZE, TRANSPORT_OVERHEAD } from '../../src/packet/transport.ts';
import type { Keypair } from '../../src/protocol/keypair.ts';
import {
  OPEN_COUNTER_HIGH,
  OPEN_COUNTER_LOW,
  OPEN_KEY,
  OPEN_LENGTH,
  OPEN_RESULT,
  OPEN_STRIDE,
  SEAL_COUNT,
  SEAL_COUNTER_HIGH,
  SEAL_COUNTER_LOW,
  SEAL_KEY,
  SEAL_LENGTH,
  SEAL_MTU,
  SEAL_OUT_LENGTH,
  SEAL_RECEIVER,
  SEAL_STRIDE,
  type TransportCipher,
} from '../../src/protocol/transport-cipher.ts';

/** @returns the packet with its padding. Fails the test if the message does not open */
export function openMessage(cipher: TransportCipher, keypair: Keypair, message: Uint8Array): Uint8Array {
  const slab = Uint8Array.from(message);
  const job = new Int32Array(OPEN_STRIDE);
  job[OPEN_LENGTH] = message.length;
  job[OPEN_KEY] = keypair.receiveSlot;
  job[OPEN_COUNTER_LOW] = readU32le(message, TRANSPORT_COUNTER);
  job[OPEN_COUNTER_HIGH] = readU32le(message, TRANSPORT_COUNTER + 4);
  cipher.open(slab, job, 1);
  expect(job[OPEN_RESULT]).toBe(message.length - TRANSPORT_OVERHEAD);
  return slab.slice(TRANSPORT_HEADER_SIZE, TRANSPORT_HEADER_SIZE + job[OPEN_RESULT]!);
}

/** @param packet an IP packet without padding, or empty for a keepalive */
export function sealMessage(
  cipher: TransportCipher,
  keypair: Keypair,
  counter: bigint,
  packet: Uint8Array,
): Uint8Array {
  const input = new Uint8Array(VNET_HEADER_SIZE + packet.length);
  input.set(packet, VNET_HEADER_SIZE);
  const output = new Uint8Array(4096);
  const job = new Int32Array(SEAL_STRIDE);
  job[SEAL_LENGTH] = input.length;
  job[SEAL_KEY] = keypair.sendSlot;
  job[SEAL_RECEIVER] = keypair.remoteIndex;
  job[SEAL_COUNTER_LOW] = Number(counter & 0xffffffffn);
  job[SEAL_COUNTER_HIGH] = Number(counter >> 32n);
  job[SEAL_COUNT] = 1;
  job[SEAL_MTU] = 1420;
  cipher.seal(input, output, job, 1);
  return output.slice(0, job[SEAL_OUT_LENGTH]);
}
