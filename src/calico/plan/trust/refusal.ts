/**
 * Why a prefix is not believed to be a node's. A type of its own, because claims carry it from the
 * judges in this folder to the owners of prefixes, which report it.
 */
import type { Problem } from '../../model/problem.ts';

export interface Refusal extends Pick<Problem, 'reason' | 'settling'> {
  /** Continues a sentence that begins with the prefix: `is a loopback address, ...`. */
  readonly message: string;
}
