/**
 * The Calico agent: plans from the cluster's state, applies the plan to this node and publishes our
 * key, in a loop (docs/reference/calico-felix.md#order-and-resync, #public-key). Turns run one at a
 * time; the next turn handles changes that arrive during a turn. A turn never ends the loop: a
 * failed turn is retried, with back-off up to ten seconds.
 *
 * This file also decides when our key is published or withdrawn (#carryOut), and when the node is
 * left to Felix (#runTurn).
 *
 * Missing knowledge never stops a running tunnel. Until the cluster has been read completely, and
 * while it cannot be read, everything stays as it is. Only the cluster's state ends a tunnel; the
 * end of this process does not.
 */
import { BackOff } from '../../base/back-off.ts';
import type { Family } from '../../base/family.ts';
import type { Closable, Snapshot } from '../datastore/datastore.ts';
import type { PerFamily } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';
import type { Plan } from '../plan/input.ts';
import { Planner } from '../plan/planner.ts';
import { TrustMemory } from './cluster/trust-memory.ts';
import { type AgentDependencies, type AgentOptions, planInput } from './dependencies.ts';
import { HandshakeRefresher } from './handshake-refresher.ts';
import { NetworkWatch } from './network-watch.ts';
import { ADDRESS_NOT_ALLOCATED, KEY_NOT_WITHDRAWN, OwnKey } from './own-key.ts';
import { applyProblems, EventWriter, TURN_FAILED } from './report/event-writer.ts';
import { SettlingProblems } from './report/settling-problems.ts';
import { DEFAULT_RESYNC_MS, resyncInterval, withJitter } from './resync-interval.ts';
import { type AgentStatus, FIRST_STATUS, logStaleness, unreadyReasons } from './status.ts';
import { Timers } from './timers.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** Minimum time between full turns: limits the CPU load if another program undoes our work. */
const FULL_TURN_INTERVAL_MS = 200;
const RETRY_PAUSES_MS = [500, 10_000] as const;
const CONVERGENCE_POLL_MS = 100;
/** `waiting`: the cluster has not been read, so the turn neither succeeded nor failed. */
type Outcome = 'done' | 'failed' | 'waiting';
/** Reasons of problems that make a turn fail, so that it is retried soon. */
const RETRIED_REASONS: readonly string[] = [KEY_NOT_WITHDRAWN, ADDRESS_NOT_ALLOCATED];

export class Agent {
  readonly #options: AgentOptions;
  readonly #dependencies: AgentDependencies;
  readonly #planner = new Planner();
  readonly #events: EventWriter;
  readonly #network: NetworkWatch;
  readonly #keys: Readonly<Record<Family, OwnKey>>;
  readonly #timers: Timers<'full' | 'retry' | 'resync' | 'report'>;
  readonly #memory: TrustMemory;
  readonly #settling: SettlingProblems;
  readonly #handshakeRefresher: HandshakeRefresher;
  #status: AgentStatus = FIRST_STATUS;
  #snapshot: Snapshot | undefined;
  #wantsPods = false;
  #clusterWatch: Closable | undefined;
  #requestedTurn: 'none' | 'changes' | 'full' = 'full';
  /** Whether a foreign change was seen since the last full turn began. */
  #hasForeignChange = false;
  #lastFullTurnAt = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #outcome: Outcome = 'waiting';
  readonly #backOff = new BackOff(...RETRY_PAUSES_MS);
  #kernelHasWireguard = false;
  #resyncMs = DEFAULT_RESYNC_MS;
  #isStopped = false;

  constructor(options: AgentOptions, dependencies: AgentDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#timers = new Timers(dependencies.clock);
    this.#memory = new TrustMemory({ ...dependencies, store: dependencies.machine.trust });
    this.#settling = new SettlingProblems(dependencies.clock);
    this.#events = new EventWriter(options.nodeName, event => dependencies.datastore.reportEvent(event));
    this.#network = new NetworkWatch(dependencies, () => this.#onForeignChange());
    const ownNode = () => this.#snapshot?.cluster.nodes.get(options.nodeName);
    this.#keys = {
      4: new OwnKey({ family: 4, nodeName: options.nodeName, dependencies, ownNode }),
      6: new OwnKey({ family: 6, nodeName: options.nodeName, dependencies, ownNode }),
    };
    this.#handshakeRefresher = new HandshakeRefresher(dependencies);
  }

  get status(): AgentStatus {
    return { ...this.#status, published: { 4: this.#keys[4].isPublished, 6: this.#keys[6].isPublished } };
  }

  start(): void {
    this.#network.open();
    this.#watchCluster();
  }

  /** Waits for convergence, for `--once`. @returns true if converged, false on timeout or stop */
  waitUntilConverged(timeoutMs: number): Promise<boolean> {
    const { clock } = this.#dependencies;
    const deadline = clock.now() + timeoutMs;
    return new Promise(resolve => {
      const poll = (): void => {
        if (this.#hasConverged()) resolve(true);
        else if (clock.now() >= deadline || this.#isStopped) resolve(false);
        else clock.after(Math.min(CONVERGENCE_POLL_MS, deadline - clock.now()), poll);
      };
      poll();
    });
  }

  /** Stops after the current turn; tunnels and published keys stay. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timers.close();
    this.#handshakeRefresher.close();
    this.#clusterWatch?.close();
    this.#network.close();
    await this.#running;
    this.#memory.close();
    this.#dependencies.publisher.close();
  }

  #watchCluster(): void {
    this.#clusterWatch?.close();
    this.#clusterWatch = this.#dependencies.datastore.watch(snapshot => {
      if (this.#isStopped) return;
      this.#snapshot = snapshot;
      const own = snapshot.cluster.nodes.get(this.#options.nodeName);
      if (own || snapshot.synced) this.#dependencies.publisher.observe(own?.annotations);
      this.#requestTurn('changes');
    });
  }

  #requestTurn(kind: 'changes' | 'full'): void {
    if (this.#isStopped) return;
    if (this.#requestedTurn !== 'full') this.#requestedTurn = kind;
    this.#running ??= this.#runRequestedTurns().finally(() => {
      this.#running = undefined;
      // A request may have arrived after the loop's last check.
      if (this.#requestedTurn !== 'none') this.#requestTurn(this.#requestedTurn);
    });
  }

  async #runRequestedTurns(): Promise<void> {
    const { clock } = this.#dependencies;
    // Coalesce requests of the same tick into one turn.
    await Promise.resolve();
    while (this.#requestedTurn !== 'none' && !this.#isStopped) {
      const full = this.#requestedTurn === 'full';
      this.#requestedTurn = 'none';
      if (full) this.#hasForeignChange = false;
      this.#updateStatus({ turns: { ...this.#status.turns, begun: clock.now() } });
      this.#outcome = await this.#runTurn(full).catch((error: unknown) => this.#recordFailure(error));
      const { begun: _, ...turns } = this.#status.turns;
      const failed = turns.failed + (this.#outcome === 'failed' ? 1 : 0);
      this.#updateStatus({ turns: { ...turns, count: turns.count + 1, failed, lastEnd: clock.now() } });
      if (full) this.#lastFullTurnAt = clock.now();
      this.#scheduleNextTurn();
    }
  }

  /** Records an error that a turn threw. */
  #recordFailure(error: unknown): Outcome {
    const message = (error as Error).message ?? String(error);
    if (this.#status.failure !== message)
      this.#dependencies.warn(`this turn failed and will be retried: ${(error as Error).stack ?? message}`);
    const others = this.#status.problems.filter(({ reason }) => reason !== TURN_FAILED);
    this.#updateStatus({ failure: message, problems: [...others, { object: 'Host', reason: TURN_FAILED, message }] });
    try {
      this.#events.write(this.status);
    } catch {
      // The error may come from writing Events.
    }
    return 'failed';
  }

  #scheduleNextTurn(): void {
    const resyncMs = resyncInterval(this.#status.plan?.parameters.RouteRefreshInterval ?? 0);
    if (resyncMs !== this.#resyncMs) this.#timers.cancel('resync');
    this.#resyncMs = resyncMs;
    this.#timers.set('resync', withJitter(resyncMs, this.#dependencies.random()), () => this.#requestTurn('full'));
    if (this.#hasForeignChange) this.#scheduleFullTurn();
    if (this.#outcome === 'done') {
      this.#backOff.reset();
      this.#timers.cancel('retry');
    } else if (this.#outcome === 'failed' && !this.#timers.has('retry')) {
      this.#timers.set('retry', this.#backOff.next(), () => this.#requestTurn('full'));
    }
  }

  /** Handles the change after the current turn, which may itself have made it. */
  #onForeignChange(): void {
    this.#hasForeignChange = true;
    if (!this.#running) this.#scheduleFullTurn();
  }

  #scheduleFullTurn(): void {
    const delayMs = this.#lastFullTurnAt + FULL_TURN_INTERVAL_MS - this.#dependencies.clock.now();
    this.#timers.set('full', Math.max(delayMs, 0), () => {
      if (this.#hasForeignChange && !this.#running) this.#requestTurn('full');
    });
  }

  async #runTurn(full: boolean): Promise<Outcome> {
    const { datastore, machine } = this.#dependencies;
    if (full) this.#kernelHasWireguard = !this.#options.takeOver && (await machine.kernelHasWireguard());
    const snapshot = this.#snapshot;
    logStaleness(this.#dependencies, this.#status.stale, snapshot?.stale);
    this.#updateStatus({ stale: snapshot?.stale });
    if (!snapshot?.synced) {
      const { plan } = this.#status;
      // A resync can repair the tunnels of the last plan; a new plan needs the whole cluster.
      if (plan && full) return this.#carryOut(plan, full, snapshot);
      if (!plan) this.#reportProblems(snapshot?.problems ?? []);
      return 'waiting';
    }
    for (const family of FAMILIES) this.#keys[family].reload();
    const began = performance.now();
    this.#memory.observe(snapshot, full);
    const { formerPools } = this.#memory;
    const input = await planInput(this.#options, machine, { ...snapshot, formerPools }, this.#ownPublicKeys());
    const plan = this.#planner.plan(input);
    const planSeconds = (performance.now() - began) / 1000;
    this.#updateStatus({ turns: { ...this.#status.turns, planSeconds } });
    if (plan.wantsPods !== this.#wantsPods) {
      this.#wantsPods = plan.wantsPods;
      datastore.wantPods(plan.wantsPods);
      if (plan.wantsPods) {
        // This snapshot lacks the addresses of pods, so wait for one that has them before planning.
        if (this.#snapshot) this.#snapshot = { ...this.#snapshot, synced: false };
        this.#watchCluster();
        return 'waiting';
      }
    }
    return this.#carryOut(plan, full, snapshot);
  }

  async #carryOut(plan: Plan, full: boolean, snapshot: Snapshot | undefined): Promise<Outcome> {
    const { applier, log } = this.#dependencies;
    const handedOver = this.#kernelHasWireguard;
    if (handedOver && this.#status.phase !== 'handed-over')
      log('the kernel has WireGuard, so this node is left to Felix; to encrypt with this agent, use --take-over');
    this.#updateStatus({ phase: handedOver ? 'handed-over' : 'running', plan });
    const desired = handedOver ? { tunnels: {} } : plan.desired;
    // Withdraw keys before tunnels: nodes that still see our key would send into a removed tunnel.
    const off = FAMILIES.filter(family => !desired.tunnels[family]);
    const found: (Problem | undefined)[] = await Promise.all(off.map(family => this.#keys[family].withdraw()));
    const began = performance.now();
    const applied = await applier.apply(desired, { full });
    const { turns } = this.#status;
    const applySeconds = (performance.now() - began) / 1000;
    this.#updateStatus({ applied, turns: { ...turns, applySeconds, changes: turns.changes + applied.changes } });
    for (const family of FAMILIES) {
      if (!desired.tunnels[family]) continue;
      const key = this.#keys[family];
      const { ready, publicKey } = applied.tunnels[family] ?? { ready: false };
      if (ready && publicKey !== undefined) key.publish(publicKey);
      else void key.withdraw();
      // If the key is new, plan again: another node with the same key must not become a peer.
      if (key.reload()) this.#requestTurn('changes');
      if (snapshot?.synced && !snapshot.stale) found.push(await key.ensureAddress(snapshot.cluster, full));
    }
    const keyProblems = found.flatMap(problem => problem ?? []);
    this.#updateStatus({ failure: undefined });
    this.#reportProblems([...(snapshot?.problems ?? []), ...plan.problems, ...applyProblems(applied), ...keyProblems]);
    const failed =
      Object.values(applied.tunnels).some(tunnel => tunnel.error) ||
      keyProblems.some(({ reason }) => RETRIED_REASONS.includes(reason));
    return failed ? 'failed' : 'done';
  }

  #reportProblems(problems: readonly Problem[]): void {
    const { lasting, nextMs } = this.#settling.filter(problems);
    this.#updateStatus({ problems: lasting });
    this.#events.write(this.status);
    this.#timers.cancel('report');
    if (nextMs !== undefined) this.#timers.set('report', nextMs, () => this.#reportProblems(problems));
  }

  #hasConverged(): boolean {
    if (this.#running || this.#requestedTurn !== 'none' || this.#outcome !== 'done') return false;
    const { phase, plan } = this.#status;
    return (
      unreadyReasons(this.status).length === 0 &&
      FAMILIES.every(family => {
        const tunnel = phase === 'handed-over' ? undefined : plan?.desired.tunnels[family];
        return !tunnel || !this.#dependencies.allocator || tunnel.address !== undefined;
      })
    );
  }

  #ownPublicKeys(): PerFamily<Uint8Array> {
    const keys = FAMILIES.flatMap(family => {
      const { publicKey } = this.#keys[family];
      return publicKey ? [[family, publicKey]] : [];
    });
    return Object.fromEntries(keys) as PerFamily<Uint8Array>;
  }

  #updateStatus(change: { [K in keyof AgentStatus]?: AgentStatus[K] | undefined }): void {
    const all = Object.entries({ ...this.#status, ...change }).filter(([, value]) => value !== undefined);
    this.#status = Object.fromEntries(all) as unknown as AgentStatus;
  }
}
