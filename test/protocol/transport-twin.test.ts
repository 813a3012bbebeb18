/** What the twin refuses before it writes. test/fuzz/twins-seal.test.ts compares the rest. */
import { expect, test } from 'vitest';
import { opensslPacketAead } from '../../src/crypto/node/openssl-packet-aead.ts';
import { VNET_HEADER_SIZE } from '../../src/packet/batch.ts';
import { TRANSPORT_OVERHEAD } from '../../src/packet/transport.ts';
import { SEAL_COUNT, SEAL_LENGTH, SEAL_OUT_LENGTH, SEAL_STRIDE } from '../../src/protocol/transport-cipher.ts';
import { TwinCipher } from '../../src/protocol/transport-twin.ts';

test('input and output may share a buffer, but not a byte', () => {
  const cipher = new TwinCipher(opensslPacketAead);
  cipher.setKey(0, new Uint8Array(32).fill(1));
  const buffer = new ArrayBuffer(300);
  const sealed = (input: number, output: number) => {
    new Uint8Array(buffer).fill(0);
    const jobs = new Int32Array(SEAL_STRIDE);
    jobs[SEAL_LENGTH] = VNET_HEADER_SIZE;
    jobs[SEAL_COUNT] = 1;
    cipher.seal(new Uint8Array(buffer, input, 100), new Uint8Array(buffer, output, 100), jobs, 1);
    expect(new Uint8Array(buffer).some(byte => byte !== 0)).toBe(jobs[SEAL_OUT_LENGTH] !== 0);
    return jobs[SEAL_OUT_LENGTH];
  };
  for (const [input, output] of [
    [0, 100],
    [100, 0],
    [0, 200],
  ] as const)
    expect(sealed(input, output)).toBe(TRANSPORT_OVERHEAD);
  for (const [input, output] of [
    [0, 99],
    [99, 0],
    [50, 50],
  ] as const)
    expect(sealed(input, output)).toBe(0);
});
