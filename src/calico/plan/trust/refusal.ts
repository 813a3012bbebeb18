/** Why a prefix that somebody claims is not believed. Prefix claims carry it for their Problem. */
import type { Problem } from '../../model/problem.ts';

export interface Refusal extends Pick<Problem, 'reason' | 'settling'> {
  /** Continues a sentence that begins with the prefix: `is a loopback address, ...`. */
  readonly message: string;
}
