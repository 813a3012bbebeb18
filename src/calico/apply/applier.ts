/**
 * Makes this node be as it shall, again and again: the whole of src/calico/apply for its caller. One thing at a time, whoever asks; nothing throws, what
 * failed is in the answer, and the next call goes on from there. Left out: when to call. That is the agent's: at each new plan; with `full` at the
 * start, every resync interval, after a failure, and when `watch` says that something of ours was broken.
 */

import type { Watch } from '../../netlink/events.ts';
import type { Family } from '../../netlink/family.ts';
import type { PerFamily } from '../model/cluster.ts';
import type { Desired } from '../model/desired.ts';
import { type HandshakeRefresh, PEERS_PER_REQUEST, REQUEST_PAUSE_MS } from './device/fresh-handshakes.ts';
import type { ApplyHost, Owned, Work } from './ports.ts';
import { isOwnTable } from './routing/routes.ts';
import { type AppliedTunnel, Tunnel } from './tunnel.ts';

export interface AppliedState {
  /** Those that shall be, and those that shall not but could not be taken away. */
  readonly tunnels: PerFamily<AppliedTunnel>;
  /** How many things were changed: 0 if all was as it shall be. */
  readonly changes: number;
}

export interface ApplierOptions {
  /** What is ours where nothing says what was made: a family that is off from the start. */
  readonly owned: PerFamily<Owned>;
}

const FAMILIES: readonly Family[] = [4, 6];

export class Applier {
  readonly #host: ApplyHost;
  readonly #options: ApplierOptions;
  readonly #tunnels: Readonly<Record<Family, Tunnel>> = { 4: new Tunnel(), 6: new Tunnel() };
  #last: Desired = { tunnels: {} };
  #queue: Promise<unknown> = Promise.resolve();

  constructor(host: ApplyHost, options: ApplierOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** @param full look at all that is there; without it only what the plan changed since the last time is done */
  apply(desired: Desired, { full = false }: { readonly full?: boolean } = {}): Promise<AppliedState> {
    return this.#inTurn(() => {
      this.#last = desired;
      return this.#apply(desired, full);
    });
  }

  /** The last plan once more, whatever was done to the node meanwhile. */
  resync(): Promise<AppliedState> {
    return this.#inTurn(() => this.#apply(this.#last, true));
  }

  /**
   * Begins a handshake with each peer that may have lost its session with us, a few at a time, other work in between. Rejects with what the device said.
   * @param random 0 to 1: where to begin, so that of many nodes not all greet the same one first
   * @param goesOn asked before each few
   */
  async refreshHandshakes(
    family: Family,
    greeting: HandshakeRefresh,
    random: number,
    goesOn: () => boolean,
  ): Promise<void> {
    const tunnel = this.#tunnels[family];
    const work: Work = { host: this.#host, family, change: text => this.#host.log(text) };
    const quiet = await this.#inTurn(() => tunnel.peersToRefresh(work, greeting));
    const first = Math.floor(random * quiet.length);
    const ordered = [...quiet.slice(first), ...quiet.slice(0, first)];
    for (let at = 0; at < ordered.length && goesOn(); at += PEERS_PER_REQUEST) {
      if (at > 0) await this.#host.sleep(REQUEST_PAUSE_MS);
      await this.#inTurn(() => tunnel.refreshHandshakes(work, ordered.slice(at, at + PEERS_PER_REQUEST)));
    }
  }

  /** Everything of ours goes, in both families. Idempotent. */
  withdraw(): Promise<AppliedState> {
    return this.apply({ tunnels: {} }, { full: true });
  }

  /**
   * Calls back when somebody broke what was brought up: a link of ours went or is down, a rule to a table of ours went, or nobody knows.
   * @param onBroken may be called for what we do ourselves too: a resync then finds nothing to do
   * @throws NetlinkError
   */
  watch(onBroken: (what: string) => void, onEnd?: (error: Error) => void): Watch {
    const tunnels = Object.values(this.#tunnels);
    return this.#host.network.watch(
      ['link', 'rule'],
      event => {
        if (event.of === 'resync') onBroken('some changes of the network were not heard of');
        else if (event.of === 'link' && (event.gone || !event.link.up)) {
          if (tunnels.some(tunnel => tunnel.concerns({ link: event.link.index })))
            onBroken(`interface ${event.link.name} ${event.gone ? 'is gone' : 'was set down'}`);
        } else if (event.of === 'rule' && event.gone) {
          const { table, family } = event.rule;
          if (this.#tunnels[family].concerns({ table })) onBroken(`a rule to table ${table} is gone`);
        }
      },
      onEnd,
    );
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #apply(desired: Desired, full: boolean): Promise<AppliedState> {
    let changes = 0;
    const states = new Map<Family, AppliedTunnel>();
    for (const family of FAMILIES) {
      const work: Work = {
        host: this.#host,
        family,
        change: text => {
          changes++;
          this.#host.log(text);
        },
      };
      const state = await this.#applyFamily(work, desired, full);
      if (state) states.set(family, state);
    }
    return { tunnels: Object.fromEntries(states) as PerFamily<AppliedTunnel>, changes };
  }

  async #applyFamily(work: Work, { tunnels }: Desired, full: boolean): Promise<AppliedTunnel | undefined> {
    const { family } = work;
    const wanted = tunnels[family];
    const fallback = this.#options.owned[family];
    try {
      const made = this.#host.records.read()[family] ?? [];
      if (!wanted) {
        const owned = distinct([...made, ...(fallback ? [fallback] : [])]);
        const error = await this.#tunnels[family].withdraw(work, owned, full);
        if (!error) this.#record(family, []);
        return error && { ready: false, interfaceName: owned[0]?.interfaceName ?? '', error };
      }
      const own = { interfaceName: wanted.interfaceName, table: wanted.table };
      if (isOwnTable(own.table)) this.#record(family, distinct([...made, own]));
      const others = made.filter(each => !sameOwned(each, own));
      const state = await this.#tunnels[family].apply(work, wanted, others, full);
      // all before the link, the others' end among it, is done
      if (!state.error) this.#record(family, [own]);
      return state;
    } catch (error) {
      const interfaceName = wanted?.interfaceName ?? fallback?.interfaceName ?? '';
      return { ready: false, interfaceName, error: { step: 'record', message: (error as Error).message } };
    }
  }

  #record(family: Family, owned: readonly Owned[]): void {
    const records = this.#host.records.read();
    const now = records[family] ?? [];
    if (now.length === owned.length && now.every((each, i) => sameOwned(each, owned[i]!))) return;
    this.#host.records.write({ ...records, [family]: owned });
  }
}

function distinct(all: readonly Owned[]): Owned[] {
  return all.filter((each, i) => all.findIndex(other => sameOwned(each, other)) === i);
}

function sameOwned(a: Owned, b: Owned): boolean {
  return a.interfaceName === b.interfaceName && a.table === b.table;
}
