/** Implements dhMany and dhEphemeral for a provider that computes one X25519 at a time. */
import type { CryptoProvider, EphemeralJob } from './provider.ts';
import { expectDh } from './sizes.ts';

type One = Pick<CryptoProvider, 'dh' | 'publicKey'>;

export function oneByOne({ dh, publicKey }: One): Pick<CryptoProvider, 'dhMany' | 'dhEphemeral'> {
  return {
    dhMany: (privateKey, publicKeys) => publicKeys.map(theirs => dh(privateKey, theirs)),

    dhEphemeral(jobs) {
      expectJobs(jobs);
      return jobs.map(({ privateKey, publicKeys }) => ({
        publicKey: publicKey(privateKey),
        shared: publicKeys.map(theirs => dh(privateKey, theirs)),
      }));
    },
  };
}

/**
 * Checks the jobs.
 * @throws RangeError if their numbers of public keys differ or a key has a wrong size
 * @returns the number of public keys of each job
 */
export function expectJobs(jobs: readonly EphemeralJob[]): number {
  const count = jobs[0]?.publicKeys.length ?? 0;
  for (const { privateKey, publicKeys } of jobs) {
    if (publicKeys.length !== count)
      throw new RangeError(`${publicKeys.length} public keys, and ${count} in the first job`);
    expectDh(privateKey, ...publicKeys);
  }
  return count;
}
