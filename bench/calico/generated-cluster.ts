/**
 * A cluster of any size, and an endless stream of changes of it: what an API server sends at the
 * start, and later on its watches.
 */
import { block, felixConfiguration, pool } from './calico-objects.ts';
import { type Family, hostAddress, node, nodeName } from './objects.ts';

export interface GeneratedOptions {
  readonly nodes: number;
  readonly blocksPerNode: number;
  readonly families: readonly Family[];
  readonly seed: number;
  /** Addresses of each block that pods use; 20 of five blocks are 100 pods of a node. */
  readonly podsPerBlock?: number;
}

export type GeneratedKind = 'Node' | 'IPAMBlock' | 'IPPool' | 'FelixConfiguration';

export interface Generated {
  readonly kind: GeneratedKind;
  readonly object: Readonly<Record<string, unknown>>;
}

export interface Change extends Generated {
  readonly type: 'set' | 'delete';
  readonly of: Cause;
}

export type Cause = 'heartbeat' | 'allocation' | 'key' | 'borrowed' | 'leave' | 'join';

/** How often each change occurs, of 100. Most are of no interest to the agent. */
const SHARES: readonly (readonly [Cause, number])[] = [
  ['heartbeat', 55],
  ['allocation', 25],
  ['key', 10],
  ['borrowed', 6],
  ['leave', 2],
  ['join', 2],
];

/** The node for which the agent plans. It never leaves. */
const OWN = 0;

export class GeneratedCluster {
  readonly ownName = nodeName(OWN);
  readonly #options: GeneratedOptions;
  readonly #podsPerBlock: number;
  readonly #random: () => number;
  readonly #keys: number[];
  readonly #beats: number[];
  readonly #borrowers = new Map<number, number>();
  readonly #writes = new Map<number, number>();
  readonly #absent: number[] = [];
  #nextKey: number;

  constructor(options: GeneratedOptions) {
    this.#options = options;
    this.#podsPerBlock = options.podsPerBlock ?? 20;
    this.#random = mulberry32(options.seed);
    this.#keys = Array.from({ length: options.nodes }, (_, n) => n);
    this.#beats = new Array<number>(options.nodes).fill(0);
    this.#nextKey = options.nodes;
  }

  get endpoints(): readonly string[] {
    return this.#options.families.map(family => hostAddress(OWN, family));
  }

  /** Yields every object, one at a time. */
  *objects(): Generator<Generated> {
    const { nodes, blocksPerNode, families } = this.#options;
    yield { kind: 'FelixConfiguration', object: felixConfiguration(families) };
    for (const family of families) yield { kind: 'IPPool', object: pool(family) };
    for (let n = 0; n < nodes; n++) yield { kind: 'Node', object: this.#node(n) };
    for (let n = 0; n < nodes; n++)
      for (let i = 0; i < blocksPerNode; i++)
        for (const family of families) yield { kind: 'IPAMBlock', object: this.#block(n, i, family) };
  }

  /** Makes the next change, at random or for this cause. */
  next(cause = this.#cause()): Change {
    const n = this.#present();
    const { blocksPerNode, families } = this.#options;
    switch (cause) {
      case 'heartbeat':
        this.#beats[n]!++;
        return { kind: 'Node', type: 'set', of: cause, object: this.#node(n) };
      case 'key':
        this.#beats[n]!++;
        this.#keys[n] = this.#nextKey++;
        return { kind: 'Node', type: 'set', of: cause, object: this.#node(n) };
      case 'leave':
        this.#absent.push(n);
        return { kind: 'Node', type: 'delete', of: cause, object: this.#node(n) };
      case 'join': {
        const back = this.#absent.pop();
        if (back === undefined) return this.next();
        this.#beats[back]!++;
        return { kind: 'Node', type: 'set', of: cause, object: this.#node(back) };
      }
      default: {
        const i = this.#below(blocksPerNode);
        const number = n * blocksPerNode + i;
        this.#writes.set(number, (this.#writes.get(number) ?? 0) + 1);
        if (cause === 'borrowed')
          if (this.#borrowers.has(number)) this.#borrowers.delete(number);
          else this.#borrowers.set(number, this.#present());
        return {
          kind: 'IPAMBlock',
          type: 'set',
          of: cause,
          object: this.#block(n, i, families[this.#below(families.length)]!),
        };
      }
    }
  }

  #node(n: number): Generated['object'] {
    const { families, blocksPerNode: blocks } = this.#options;
    return node(n, { families, key: this.#keys[n], beat: this.#beats[n]!, blocks });
  }

  #block(n: number, i: number, family: Family): Generated['object'] {
    const { families, blocksPerNode } = this.#options;
    const number = n * blocksPerNode + i;
    const writes = this.#writes.get(number) ?? 0;
    // Pods come and go with each write.
    const used = this.#podsPerBlock - (writes % 2);
    return block(n, i, blocksPerNode, family, { families, used, borrower: this.#borrowers.get(number), writes });
  }

  /** Returns a node that is there, other than our own. */
  #present(): number {
    for (;;) {
      const n = 1 + this.#below(this.#options.nodes - 1);
      if (!this.#absent.includes(n)) return n;
    }
  }

  #cause(): Cause {
    let at = this.#below(100);
    for (const [cause, share] of SHARES) {
      if (at < share) return cause;
      at -= share;
    }
    return 'heartbeat';
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
