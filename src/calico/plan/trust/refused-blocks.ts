/**
 * The IPAM blocks that are not believed, and one Problem for each owner and reason: there may be
 * thousands of blocks, and people read few Problems.
 */
import { formatPrefix } from '../../../base/prefix.ts';
import type { IpamBlock } from '../../model/cluster.ts';
import { objectOf, type Problem, quoted } from '../../model/problem.ts';

export type BlockFault = 'outside' | 'misnamed' | 'nested' | 'wide' | 'surplus' | 'unlent';

/** Upper bound of the Problems; a last one counts the others. */
const MOST_PROBLEMS = 50;
const SHOWN = 3;

const TEXT: Readonly<Record<BlockFault, { readonly reason: string; readonly text: string }>> = {
  outside: {
    reason: 'BlockOutsidePools',
    text: "in no IPPool, or no block of Calico's by its size, so the agent routes nothing there; delete the block or, if pods still use it, create an IPPool that contains it (spec.disabled: true keeps new pods out)",
  },
  misnamed: {
    reason: 'MisnamedBlock',
    text: 'in an IPAMBlock whose name is not that of its CIDR, which Calico never makes, so the agent routes nothing there; delete the object',
  },
  nested: {
    reason: 'BlockInOtherBlock',
    text: "in another node's block, which Calico never makes, so the agent does not route it to this node; delete one of the two blocks",
  },
  wide: {
    reason: 'BlockInOtherBlock',
    text: "around another node's block, which Calico never makes, so this node gets only the rest of it; delete one of the two blocks",
  },
  surplus: {
    reason: 'TooManyBlocks',
    text: 'beyond the number of blocks that a node can use, so only its oldest blocks are routed; delete the others',
  },
  unlent: {
    reason: 'TooManyBorrowedAddresses',
    text: 'a block whose addresses other nodes have, beyond the number that the agent routes one by one; release the addresses that no pod uses (calicoctl ipam check)',
  },
};

interface Group {
  readonly object: string;
  readonly fault: BlockFault;
  count: number;
  /** The first CIDRs in order of text, so that the message does not depend on the blocks' order. */
  readonly first: string[];
}

export class RefusedBlocks {
  readonly #faults = new Map<IpamBlock, BlockFault>();
  #problems: readonly Problem[] | undefined = [];

  has(block: IpamBlock): boolean {
    return this.#faults.has(block);
  }

  add(block: IpamBlock, fault: BlockFault): void {
    this.#faults.set(block, fault);
    this.#problems = undefined;
  }

  delete(block: IpamBlock): void {
    if (this.#faults.delete(block)) this.#problems = undefined;
  }

  clear(): void {
    if (this.#faults.size === 0) return;
    this.#faults.clear();
    this.#problems = undefined;
  }

  get problems(): readonly Problem[] {
    this.#problems ??= this.#report();
    return this.#problems;
  }

  #report(): readonly Problem[] {
    const groups = new Map<string, Group>();
    for (const [block, fault] of this.#faults) {
      const object = block.owner === undefined ? objectOf('IPAMBlock', block.name) : objectOf('Node', block.owner);
      const key = `${object} ${fault}`;
      const group = groups.get(key) ?? { object, fault, count: 0, first: [] };
      groups.set(key, group);
      group.count++;
      const text = formatPrefix(block.cidr);
      if (group.first.length === SHOWN && text >= group.first[SHOWN - 1]!) continue;
      group.first.push(text);
      group.first.sort();
      group.first.length = Math.min(group.first.length, SHOWN);
    }
    const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
    const problems = sorted.slice(0, MOST_PROBLEMS).map(problemOf);
    const rest = sorted.slice(MOST_PROBLEMS).reduce((sum, { count }) => sum + count, 0);
    if (rest === 0) return problems;
    const message = `${rest} more IPAM blocks are not believed, of more nodes than are listed; see who may write ipamblocks, and delete those that Calico did not make`;
    return [...problems, { object: 'IPAMBlock', reason: 'MoreRefusedBlocks', message, settling: true }];
  }
}

function problemOf({ object, fault, count, first }: Group): Problem {
  const { reason, text } = TEXT[fault];
  const more = count - first.length;
  const shown = first.map(quoted).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return { object, reason, message: `${shown}, given to it by an IPAMBlock, is ${text}`, settling: true };
}
