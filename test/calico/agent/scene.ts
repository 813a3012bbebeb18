/** An agent with a fake clock, cluster, machine and applier; only the publisher is real. */
import type { Family } from '../../../src/base/family.ts';
import { Agent } from '../../../src/calico/agent/agent.ts';
import type { AgentAllocator, AgentDependencies, AgentOptions } from '../../../src/calico/agent/dependencies.ts';
import type { AppliedState } from '../../../src/calico/apply/applier.ts';
import type { TrustRecord } from '../../../src/calico/apply/state/trust-file.ts';
import type { AppliedTunnel } from '../../../src/calico/apply/tunnel.ts';
import type { Datastore, NodeEvent, Snapshot, SnapshotListener } from '../../../src/calico/datastore/datastore.ts';
import type { KeyOwners } from '../../../src/calico/datastore/key-history.ts';
import { KEY_ANNOTATION } from '../../../src/calico/model/annotations.ts';
import type { Cluster, PerFamily } from '../../../src/calico/model/cluster.ts';
import type { Desired } from '../../../src/calico/model/desired.ts';
import type { Problem } from '../../../src/calico/model/problem.ts';
import { DEFAULT_OPTIONS } from '../../../src/calico/plan/config/options.ts';
import { Publisher } from '../../../src/calico/publish/publisher.ts';
import { FakeClock } from '../publish/clock.ts';
import { clusterOf, felix, keyOf, keyText, node } from './cluster.ts';

export interface SceneOptions extends Partial<Pick<AgentOptions, 'takeOver' | 'environment'>> {
  readonly allocator?: AgentAllocator;
  /** What earlier agents of the node stored. */
  readonly trust?: TrustRecord;
  readonly random?: number;
}

export class Scene {
  readonly clock = new FakeClock(() => new Promise(resolve => setImmediate(resolve)));
  /** The agent's actions, in order: `patch 4 +`, `apply 4 full`, `apply - `. */
  readonly log: string[] = [];
  /**
   * Requested handshakes: family and milliseconds since the key is back, such as `4 2000 again`.
   */
  readonly refreshes: string[] = [];
  readonly events: NodeEvent[] = [];
  readonly warnings: string[] = [];
  readonly said: string[] = [];
  readonly applied: Desired[] = [];
  /** Annotations of our Node n1; undefined if the Node does not exist. */
  own: Record<string, string> | undefined = {};
  others: Cluster['nodes'] = clusterOf([node(2, { [KEY_ANNOTATION[4]]: keyText(2) })]).nodes;
  more: Partial<Cluster> = { felixConfigurations: felix({ wireguardenabled: 'true' }) };
  problems: readonly Problem[] = [];
  stale: string | undefined;
  synced = true;
  /** Public keys of the stored private keys. */
  keys: { [family in Family]?: Uint8Array } = {};
  kernelHasWireguard: () => Promise<boolean> = async () => false;
  facts: () => Promise<void> = async () => {};
  apply: (desired: Desired, full: boolean) => Promise<void> = async () => {};
  /** Overrides the result of applying a tunnel. */
  outcome: (family: Family) => Partial<AppliedTunnel> = () => ({});
  patch: () => Promise<void> = async () => {};
  refreshHandshakes: () => Promise<void> = async () => {};
  /** The agent's callbacks: for a foreign change, and for the error that ends the watch. */
  broken: (() => void) | undefined;
  ended: ((error: Error) => void) | undefined;
  watches = 0;
  watch: () => void = () => {};
  wantedPods: boolean[] = [];
  trust: TrustRecord = { keyOwners: {}, pools: [] };
  keyOwners: Snapshot['keyOwners'];
  apiServers: Snapshot['apiServers'];
  readonly remembered: PerFamily<KeyOwners>[] = [];
  readonly #listeners = new Set<SnapshotListener>();
  readonly agent: Agent;

  constructor({ takeOver = false, environment = {}, allocator, trust, random = 0 }: SceneOptions = {}) {
    if (trust) this.trust = trust;
    const { clock } = this;
    const warn = (text: string): void => void this.warnings.push(text);
    const log = (text: string): void => void this.said.push(text);
    const datastore = this.#datastore();
    const dependencies: AgentDependencies = {
      datastore,
      publisher: new Publisher({ node: 'n1', api: datastore, clock, log, warn }),
      applier: this.#applier(),
      machine: {
        facts: async () => {
          await this.facts();
          return { links: [{ name: 'eth0', mtu: 1500, up: true }], aks: false };
        },
        kernelHasWireguard: () => this.kernelHasWireguard(),
        ownPublicKey: family => this.keys[family],
        felixFile: () => undefined,
        trust: {
          read: () => this.trust,
          write: record => {
            this.trust = record;
          },
        },
      },
      clock,
      random: () => random,
      log,
      warn,
      ...(allocator && { allocator }),
    };
    this.agent = new Agent({ nodeName: 'n1', environment, plan: DEFAULT_OPTIONS, takeOver }, dependencies);
  }

  get snapshot(): Snapshot {
    const nodes = new Map(this.others);
    if (this.own) nodes.set('n1', node(1, this.own));
    return {
      cluster: clusterOf([...nodes.values()], this.more),
      problems: this.problems,
      synced: this.synced,
      ...(this.keyOwners && { keyOwners: this.keyOwners }),
      ...(this.apiServers && { apiServers: this.apiServers }),
      ...(this.stale !== undefined && { stale: this.stale }),
    };
  }

  /** Sends the current cluster to all listeners. */
  tell(): void {
    const { snapshot } = this;
    for (const listener of [...this.#listeners]) listener(snapshot);
  }

  /** Starts the agent and runs everything due immediately. */
  async started(): Promise<this> {
    this.agent.start();
    await this.pass(0);
    return this;
  }

  async told(): Promise<void> {
    this.tell();
    await this.pass(0);
  }

  async pass(milliseconds: number): Promise<void> {
    await this.clock.pass(milliseconds);
  }

  /** Returns and clears the log. */
  since(): string[] {
    return this.log.splice(0);
  }

  get reasons(): string[] {
    return this.events.map(({ reason }) => reason);
  }

  #datastore(): Datastore {
    const unused = (): never => {
      throw new Error('not of this test');
    };
    return {
      watch: listener => {
        this.#listeners.add(listener);
        this.clock.after(0, () => this.#listeners.has(listener) && listener(this.snapshot));
        return { close: () => void this.#listeners.delete(listener) };
      },
      wantPods: wanted => void this.wantedPods.push(wanted),
      rememberKeyOwners: owners => void this.remembered.push(owners),
      patchNode: async (_, annotations) => {
        for (const [name, value] of Object.entries(annotations)) {
          const family = name === KEY_ANNOTATION[6] ? 6 : 4;
          this.log.push(`patch ${family} ${value === null ? '-' : '+'}`);
        }
        await this.patch();
        if (!this.own) throw new Error('no such Node');
        const merged = Object.entries({ ...this.own, ...annotations }).filter(([, value]) => value !== null);
        this.own = Object.fromEntries(merged) as Record<string, string>;
        this.clock.after(1, () => this.tell());
      },
      labelNode: unused,
      reportEvent: event => void this.events.push(event),
      objects: { group: unused, get: unused, list: unused, create: unused, replace: unused, delete: unused },
      close: async () => {},
    };
  }

  #applier(): AgentDependencies['applier'] {
    return {
      apply: async (desired, { full = false } = {}) => {
        const families = Object.keys(desired.tunnels).join();
        this.log.push(`apply ${families || '-'}${full ? ' full' : ''}`);
        this.applied.push(desired);
        await this.apply(desired, full);
        const tunnels: { [family in Family]?: AppliedTunnel } = {};
        for (const family of [4, 6] as const) {
          const tunnel = desired.tunnels[family];
          if (!tunnel) continue;
          this.keys[family] ??= keyOf(100 + family);
          const base = { ready: true, interfaceName: tunnel.interfaceName, backend: 'userspace' as const };
          tunnels[family] = { ...base, publicKey: keyText(100 + family), ...this.outcome(family) };
        }
        return { tunnels, changes: 1 } satisfies AppliedState;
      },
      refreshHandshakes: async (family, { restoredAgoMs, isSecondAttempt }) => {
        this.refreshes.push(`${family} ${restoredAgoMs}${isSecondAttempt ? ' again' : ''}`);
        await this.refreshHandshakes();
      },
      watch: (onBroken, onEnd) => {
        this.watches++;
        this.watch();
        this.broken = () => onBroken('a link');
        this.ended = onEnd;
        return { close: () => {} };
      },
    };
  }
}
