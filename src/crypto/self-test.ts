/**
 * Known-answer test of a whole provider. Each function gets the results of other functions as
 * input, so the final result depends on all of them. A provider that fails on this machine is not
 * used.
 */
import { formatKeyHex } from '../base/key.ts';
import type { CryptoProvider } from './provider.ts';

/** Computed by noble (test/contract/self-test.test.ts recomputes it). */
const ANSWER = 'c412a8529552ef1a24426974222e46910b54c11ab344d21207984d399799d460';

/** Runs the test. @returns false if the answer is wrong or a function throws */
export function passesSelfTest(crypto: CryptoProvider): boolean {
  try {
    return knownAnswer(crypto) === ANSWER;
  } catch {
    return false;
  }
}

/** Computes the answer. @returns the result in hexadecimal */
function knownAnswer(crypto: CryptoProvider): string {
  const privateKeys = [1, 2, 3, 4].map(seed => counted(32, seed));
  const publicKeys = privateKeys.map(key => crypto.publicKey(key));
  const shared = crypto.dh(privateKeys[0]!, publicKeys[1]!)!;
  const many = crypto.dhMany(privateKeys[1]!, [...publicKeys, new Uint8Array(32)]);
  // so few jobs that the addon starts no helper threads (share-out.c), which the program may never
  // need
  const jobs = privateKeys.slice(0, 2).map(privateKey => ({ privateKey, publicKeys: publicKeys.slice(0, 2) }));
  const ephemeral = crypto.dhEphemeral(jobs).flatMap(({ publicKey, shared: each }) => [publicKey, ...each]);
  const [first, second, third] = crypto.kdf(shared, publicKeys[2]!, 3);
  const mac = crypto.mac(first!, publicKeys[3]!);
  const hmac = crypto.hmac(second!, mac);
  const sealed = crypto.seal(third!, counted(12, 5), hmac, mac);
  const xsealed = crypto.xseal(third!, counted(24, 6), sealed, EMPTY);
  const opened = crypto.open(third!, counted(12, 5), sealed, mac);
  const xopened = crypto.xopen(third!, counted(24, 6), xsealed, EMPTY);
  sealed[0]! ^= 1;
  xsealed[0]! ^= 1;
  const refused = [
    crypto.open(third!, counted(12, 5), sealed, mac),
    crypto.xopen(third!, counted(24, 6), xsealed, EMPTY),
    crypto.dh(privateKeys[0]!, new Uint8Array(32)),
  ];
  const all = [...many, ...ephemeral, hmac, xsealed, opened, xopened, ...refused];
  // for an absent result, hash its index instead
  const digest = all.reduce<Uint8Array>((before, bytes, i) => crypto.hash(before, bytes ?? Uint8Array.of(i)), EMPTY);
  return crypto.equal(digest, digest.slice()) && !crypto.equal(digest, shared) ? formatKeyHex(digest) : '';
}

const EMPTY = new Uint8Array(0);

function counted(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (seed * 37 + i * 11) & 0xff);
}
