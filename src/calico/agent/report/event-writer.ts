/** What of the agent's state people should hear of, as Events on our Node: each problem when it comes, and when encryption begins and ends. */
import type { Family } from '../../../netlink/family.ts';
import type { AppliedState } from '../../apply/applier.ts';
import type { NodeEvent } from '../../datastore/datastore.ts';
import { type Problem, problemKey } from '../../model/problem.ts';
import type { AgentStatus } from '../status.ts';

export const APPLY_FAILED = 'ApplyFailed';
export const TURN_FAILED = 'TurnFailed';
/** That are told at a time: people read no more, and servers are not asked to keep more. */
const MOST_TOLD = 20;
const FAMILIES: readonly Family[] = [4, 6];

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
  readonly #report: (event: NodeEvent) => void;
  #told = new Set<string>();
  #toldOfMore = false;
  readonly #encrypting = new Set<Family>();
  #handedOver = false;

  constructor(node: string, report: (event: NodeEvent) => void) {
    this.#node = node;
    this.#report = report;
  }

  /** After each turn: what was said is not said again while it lasts. */
  write(status: AgentStatus): void {
    const { problems, phase } = status;
    for (const family of FAMILIES) this.#writeFamily(family, status);
    if (phase === 'handed-over' && !this.#handedOver)
      this.#say('Normal', 'HandedOver', 'the kernel has WireGuard itself: this node is left to Felix');
    this.#handedOver = phase === 'handed-over';
    this.#writeProblems(problems);
  }

  #writeProblems(problems: readonly Problem[]): void {
    const all = new Map(problems.map(problem => [problemKey(problem), problem]));
    const told = new Set([...this.#told].filter(key => all.has(key)));
    for (const [key, { object, reason, message }] of all) {
      if (told.size >= MOST_TOLD) break;
      if (told.has(key)) continue;
      told.add(key);
      this.#say('Warning', reason, `${object}: ${message}`);
    }
    this.#told = told;
    const more = all.size > MOST_TOLD;
    if (more && !this.#toldOfMore)
      this.#say('Warning', 'MoreProblems', `there are more than ${MOST_TOLD} problems; /readyz lists them`);
    this.#toldOfMore = more;
  }

  #writeFamily(family: Family, { plan, applied, phase }: AgentStatus): void {
    const wanted = phase === 'running' && plan?.desired.tunnels[family] !== undefined;
    const tunnel = applied?.tunnels[family];
    if (wanted && tunnel?.ready) {
      if (this.#encrypting.has(family)) return;
      this.#encrypting.add(family);
      const by = tunnel.backend === 'kernel' ? "the kernel's WireGuard" : 'WireGuard in userspace';
      this.#say('Normal', 'EncryptionReady', `IPv${family} pod traffic is encrypted by ${by}, ${tunnel.interfaceName}`);
    } else if (this.#encrypting.delete(family))
      this.#say(
        wanted ? 'Warning' : 'Normal',
        'EncryptionEnded',
        `IPv${family} pod traffic is not encrypted any more${wanted ? '' : ': it is off, or not ours to encrypt'}`,
      );
  }

  #say(type: NodeEvent['type'], reason: string, message: string): void {
    this.#report({ node: this.#node, type, reason, message });
  }
}
