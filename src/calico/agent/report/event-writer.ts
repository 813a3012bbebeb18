/**
 * Writes Events on our Node: one when a problem appears, and one when encryption begins or ends.
 */
import type { Family } from '../../../base/family.ts';
import type { AppliedState } from '../../apply/applier.ts';
import type { NodeEvent } from '../../datastore/datastore.ts';
import { type Problem, problemKey } from '../../model/problem.ts';
import type { AgentStatus } from '../status.ts';

const APPLY_FAILED = 'ApplyFailed';
export const TURN_FAILED = 'TurnFailed';
/**
 * Maximum number of current problems with an Event: people read no more, and the server stores each
 * one.
 */
const MAX_REPORTED = 20;
const FAMILIES: readonly Family[] = [4, 6];

/** Returns one Problem for each tunnel that could not be applied. */
export function applyProblems({ tunnels }: AppliedState): Problem[] {
  return FAMILIES.flatMap(family => {
    const { error, interfaceName } = tunnels[family] ?? {};
    if (!error) return [];
    const message = `IPv${family}, ${interfaceName}: ${error.step}: ${error.message}`;
    return [{ object: 'Host', reason: APPLY_FAILED, message }];
  });
}

export class EventWriter {
  readonly #node: string;
  readonly #onEvent: (event: NodeEvent) => void;
  /** Keys of the current problems that have an Event. */
  #reported = new Set<string>();
  #hasReportedOverflow = false;
  readonly #encrypting = new Set<Family>();
  #isHandedOver = false;

  constructor(node: string, onEvent: (event: NodeEvent) => void) {
    this.#node = node;
    this.#onEvent = onEvent;
  }

  /** Writes Events for what changed since the last call. Call it after each turn. */
  write(status: AgentStatus): void {
    const { problems, phase } = status;
    for (const family of FAMILIES) this.#writeFamily(family, status);
    if (phase === 'handed-over' && !this.#isHandedOver)
      this.#report('Normal', 'HandedOver', 'the kernel has WireGuard, so this node is left to Felix');
    this.#isHandedOver = phase === 'handed-over';
    this.#writeProblems(problems);
  }

  #writeProblems(problems: readonly Problem[]): void {
    const all = new Map(problems.map(problem => [problemKey(problem), problem]));
    const reported = new Set([...this.#reported].filter(key => all.has(key)));
    for (const [key, { object, reason, message }] of all) {
      if (reported.size >= MAX_REPORTED) break;
      if (reported.has(key)) continue;
      reported.add(key);
      this.#report('Warning', reason, `${object}: ${message}`);
    }
    this.#reported = reported;
    const hasMore = all.size > MAX_REPORTED;
    if (hasMore && !this.#hasReportedOverflow)
      this.#report(
        'Warning',
        'MoreProblems',
        `there are more than ${MAX_REPORTED} problems, and only these have Events; see /readyz for the list`,
      );
    this.#hasReportedOverflow = hasMore;
  }

  #writeFamily(family: Family, { plan, applied, phase }: AgentStatus): void {
    const isWanted = phase === 'running' && plan?.desired.tunnels[family] !== undefined;
    const tunnel = applied?.tunnels[family];
    if (isWanted && tunnel?.ready) {
      if (this.#encrypting.has(family)) return;
      this.#encrypting.add(family);
      const by = tunnel.backend === 'kernel' ? "the kernel's WireGuard" : 'WireGuard in userspace';
      this.#report(
        'Normal',
        'EncryptionReady',
        `IPv${family} pod traffic is encrypted by ${by}, ${tunnel.interfaceName}`,
      );
    } else if (this.#encrypting.delete(family))
      this.#report(
        isWanted ? 'Warning' : 'Normal',
        'EncryptionEnded',
        `IPv${family} pod traffic is no longer encrypted${isWanted ? '' : ': encryption is off, or left to Felix'}`,
      );
  }

  #report(type: NodeEvent['type'], reason: string, message: string): void {
    this.#onEvent({ node: this.#node, type, reason, message });
  }
}
