/**
 * A fake node and the agent on it, new for each test, in one or both families, with common queries.
 */
import { afterEach, beforeEach, expect } from 'vitest';
import type { Family } from '../../../src/base/family.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import type { AppliedState } from '../../../src/calico/apply/applier.ts';
import type { Desired, DesiredTunnel } from '../../../src/calico/model/desired.ts';
import type { Rule } from '../../../src/netlink/rules.ts';
import type { FakeDevice, FakePeer } from '../../support/fake-kernel/world.ts';
import { desired, FakeNode, OWNED, type Process, type ProcessOptions, peer, tunnel } from './node.ts';

export const VARIANTS: readonly (readonly [string, readonly Family[]])[] = [
  ['v4', [4]],
  ['v6', [6]],
  ['both', [4, 6]],
];
/** Pod prefixes of node 2. */
export const PODS = { 4: '10.42.2.0/26', 6: 'fd42:0:0:2::/122' } as const;
export const NAME = (family: Family): string => OWNED[family]!.interfaceName;

export class Scene {
  node = new FakeNode();
  process: Process = this.node.process();
  readonly #families: readonly Family[];

  constructor(families: readonly Family[]) {
    this.#families = families;
    this.process.close();
    beforeEach(() => {
      this.node = new FakeNode();
      this.process = this.node.process();
    });
    afterEach(() => this.process.close());
  }

  /** Starts another agent, which knows only the persistent state. */
  restart(options?: ProcessOptions): void {
    this.process.close();
    this.process = this.node.process(options);
  }

  wanted(change: Partial<DesiredTunnel> = {}, peers: readonly number[] = [2, 3]): Desired {
    return desired(this.#families, family =>
      tunnel(
        family,
        peers.map(n => peer(family, n)),
        change,
      ),
    );
  }

  /** Returns the same for one family only. */
  only(family: Family): Desired {
    return desired([family], each => tunnel(each, [peer(each, 2), peer(each, 3)]));
  }

  /** Applies a plan; fails the test on an error. */
  async apply(what: Desired, full = false): Promise<AppliedState> {
    this.process.operations.length = 0;
    const state = await this.process.applier.apply(what, { full });
    for (const family of this.#families) expect(state.tunnels[family]?.error).toBeUndefined();
    return state;
  }

  device(family: Family): FakeDevice {
    return this.node.kernel.device(NAME(family))!;
  }

  peers(family: Family): FakePeer[] {
    return [...this.device(family).peers.values()];
  }

  rulesTo(table = 51820): Rule[] {
    return this.node.kernel.world.rules.filter(rule => rule.table === table);
  }

  /** The routes of our table: prefix and type. */
  routesOf(family: Family): string[] {
    return this.node.kernel.world.routes
      .filter(each => each.table === 51820 && each.family === family)
      .map(({ destination, type }) => `${formatPrefix(destination)} ${type}`)
      .sort();
  }

  index(family: Family): number {
    return [...this.node.kernel.world.links.values()].find(({ name }) => name === NAME(family))!.index;
  }
}
