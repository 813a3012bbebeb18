/**
 * Reconciles this node with the plan. This class is the entry point of src/calico/apply. Calls are
 * serialized. The methods that return an AppliedState never reject: failures are part of the
 * result, and the next call continues from there.
 *
 * The agent decides when to call `apply`: for each new plan, and with `full` at the start, at every
 * resync interval, after a failure, and when `watch` reports a foreign change.
 */

import type { Family } from '../../base/family.ts';
import type { Watch } from '../../netlink/events.ts';
import type { PerFamily } from '../model/cluster.ts';
import type { Desired, DesiredTunnel } from '../model/desired.ts';
import { type HandshakeRefresh, PEERS_PER_REQUEST, REQUEST_PAUSE_MS } from './device/fresh-handshakes.ts';
import type { ApplyContext, ApplyHost, Owned } from './ports.ts';
import { isOwnTable } from './routing/routes.ts';
import { type AppliedTunnel, Tunnel } from './tunnel.ts';

export interface AppliedState {
  /** The desired tunnels, and the undesired ones that could not be removed. */
  readonly tunnels: PerFamily<AppliedTunnel>;
  /** Number of changes made: 0 if the node had already converged. */
  readonly changes: number;
}

export interface ApplierOptions {
  /**
   * What the agent owns in a family for which no record exists, because the family was never on.
   */
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

  /**
   * Applies a plan.
   * @param full reads the node's actual state first; otherwise, only the differences from the last
   * plan are applied
   */
  apply(desired: Desired, { full = false }: { readonly full?: boolean } = {}): Promise<AppliedState> {
    return this.#serialize(() => {
      this.#last = desired;
      return this.#apply(desired, full);
    });
  }

  /** Applies the last plan again, which repairs foreign changes. */
  resync(): Promise<AppliedState> {
    return this.#serialize(() => this.#apply(this.#last, true));
  }

  /**
   * Begins a handshake with each peer that may have lost its session with us. Works in batches;
   * other calls may run between two batches. Rejects with the device's error.
   * @param random from 0 to 1: selects the first peer, so that many nodes do not all begin with the
   * same one
   * @param shouldContinue is called before each batch
   */
  async refreshHandshakes(
    family: Family,
    request: HandshakeRefresh,
    random: number,
    shouldContinue: () => boolean,
  ): Promise<void> {
    const tunnel = this.#tunnels[family];
    const context: ApplyContext = { host: this.#host, family, recordChange: text => this.#host.log(text) };
    const stale = await this.#serialize(() => tunnel.peersToRefresh(context, request));
    const first = Math.floor(random * stale.length);
    const ordered = [...stale.slice(first), ...stale.slice(0, first)];
    for (let at = 0; at < ordered.length && shouldContinue(); at += PEERS_PER_REQUEST) {
      if (at > 0) await this.#host.sleep(REQUEST_PAUSE_MS);
      await this.#serialize(() => tunnel.refreshHandshakes(context, ordered.slice(at, at + PEERS_PER_REQUEST)));
    }
  }

  /** Removes everything we own, in both families. Idempotent. */
  withdraw(): Promise<AppliedState> {
    return this.apply({ tunnels: {} }, { full: true });
  }

  /**
   * Watches for foreign changes: our link is gone, down or without its process, a rule to our table
   * is gone, or events were lost.
   * @param onForeignChange is also called for some of our own changes; a resync then finds nothing
   * to do
   * @throws NetlinkError
   */
  watch(onForeignChange: (what: string) => void, onEnd?: (error: Error) => void): Watch {
    const tunnels = Object.values(this.#tunnels);
    return this.#host.network.watch(
      ['link', 'rule'],
      event => {
        if (event.of === 'resync') onForeignChange('some network changes were missed');
        else if (event.of === 'link') {
          // A persistent TUN whose process ended stays up, but no longer runs.
          const what = event.gone ? 'is gone' : !event.link.up ? 'was set down' : !event.link.running && 'does not run';
          if (what && tunnels.some(tunnel => tunnel.uses({ link: event.link.index })))
            onForeignChange(`interface ${event.link.name} ${what}`);
        } else if (event.of === 'rule' && event.gone) {
          const { table, family } = event.rule;
          if (this.#tunnels[family].uses({ table })) onForeignChange(`a rule to table ${table} is gone`);
        }
      },
      onEnd,
    );
  }

  #serialize<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #apply(desired: Desired, full: boolean): Promise<AppliedState> {
    let changes = 0;
    const states = new Map<Family, AppliedTunnel>();
    for (const family of FAMILIES) {
      const context: ApplyContext = {
        host: this.#host,
        family,
        recordChange: (text, count = 1) => {
          changes += count;
          this.#host.log(text);
        },
      };
      const state = await this.#applyFamily(context, desired, full);
      if (state) states.set(family, state);
    }
    return { tunnels: Object.fromEntries(states) as PerFamily<AppliedTunnel>, changes };
  }

  #applyFamily(context: ApplyContext, { tunnels }: Desired, full: boolean): Promise<AppliedTunnel | undefined> {
    const wanted = tunnels[context.family];
    return wanted ? this.#bringUp(context, wanted, full) : this.#withdrawFamily(context, full);
  }

  async #bringUp(context: ApplyContext, wanted: DesiredTunnel, full: boolean): Promise<AppliedTunnel> {
    const { family } = context;
    const tunnel = this.#tunnels[family];
    const { interfaceName, table } = wanted;
    const own = { interfaceName, table };
    try {
      // first without the record, which may be unreadable
      await tunnel.inherit(context, distinct([own, ...this.#fallback(family)]));
      const recorded = this.#recorded(family);
      await tunnel.inherit(context, recorded);
      if (isOwnTable(table)) this.#record(family, distinct([...recorded, own]));
      const others = recorded.filter(each => !sameOwned(each, own));
      const state = await tunnel.apply(context, wanted, others, full);
      // Without an error, the resources in `others` were removed too.
      if (!state.error) this.#record(family, [own]);
      return state;
    } catch (error) {
      return tunnel.failure(context, interfaceName, 'record', error as Error);
    }
  }

  async #withdrawFamily(context: ApplyContext, full: boolean): Promise<AppliedTunnel | undefined> {
    const { family } = context;
    try {
      const owned = distinct([...this.#recorded(family), ...this.#fallback(family)]);
      const error = await this.#tunnels[family].withdraw(context, owned, full);
      if (!error) this.#record(family, []);
      return error && { ready: false, interfaceName: owned[0]?.interfaceName ?? '', error };
    } catch (error) {
      const interfaceName = this.#options.owned[family]?.interfaceName ?? '';
      return { ready: false, interfaceName, error: { step: 'record', message: (error as Error).message } };
    }
  }

  /** What we own if no record says more. */
  #fallback(family: Family): readonly Owned[] {
    const owned = this.#options.owned[family];
    return owned ? [owned] : [];
  }

  #recorded(family: Family): readonly Owned[] {
    return this.#host.records.read()[family] ?? [];
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
