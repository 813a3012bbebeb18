/**
 * The agent: what is in the cluster, planned and carried out on this node, and our key published, again and again (docs/reference/calico-felix.md#order-and-resync, #public-key). One turn
 * at a time; whatever happens meanwhile is the next one's. A turn never throws, and what failed is tried again, ever slower up to ten seconds.
 *
 * What runs is never stopped for want of knowledge: while the cluster was not read whole, and when it cannot be read any more, all stays as it was. Only
 * what the cluster says ends a tunnel; the end of this program does not.
 */
import type { Family } from '../../netlink/family.ts';
import type { Closable, Snapshot } from '../datastore/datastore.ts';
import type { PerFamily } from '../model/cluster.ts';
import type { Problem } from '../model/problem.ts';
import type { Plan } from '../plan/input.ts';
import { Planner } from '../plan/planner.ts';
import type { AgentOptions, AgentParts } from './dependencies.ts';
import { Greeter } from './handshake-refresher.ts';
import { NetworkWatch } from './network-watch.ts';
import { ADDRESS_NOT_ALLOCATED, KEY_NOT_WITHDRAWN, OwnKey } from './own-key.ts';
import { applyProblems, EventWriter, TURN_FAILED } from './report/event-writer.ts';
import { type AgentStatus, FIRST_STATUS, sayStaleness, unreadiness } from './status.ts';
import { Timers } from './timers.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** Between turns that look at everything, so that what breaks again and again does not keep a processor busy. */
const LEAST_BETWEEN_FULL = 200;
const [FIRST_RETRY, LAST_RETRY] = [500, 10_000];
/** Felix's routeRefreshInterval, as long as nothing else is known. */
const RESYNC = 90_000;
/** However long Felix's is: no timer is longer than 24 days. */
const LONGEST_RESYNC = 86_400_000;
const JITTER = 0.1;
/** `waiting`: nothing could be done or found out, good or bad. */
type Outcome = 'done' | 'failed' | 'waiting';
const PASSING: readonly string[] = [KEY_NOT_WITHDRAWN, ADDRESS_NOT_ALLOCATED];

export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #planner = new Planner();
  readonly #events: EventWriter;
  readonly #network: NetworkWatch;
  readonly #keys: Readonly<Record<Family, OwnKey>>;
  readonly #timers: Timers<'full' | 'retry' | 'resync'>;
  readonly #greeter: Greeter;
  #status: AgentStatus = FIRST_STATUS;
  #snapshot: Snapshot | undefined;
  #wantsPods = false;
  #watching: Closable | undefined;
  /** What the next turn is for. */
  #due: 'nothing' | 'changes' | 'everything' = 'everything';
  /** Since the last full turn began. */
  #isBroken = false;
  #lastFull = Number.NEGATIVE_INFINITY;
  #turn: Promise<void> | undefined;
  #outcome: Outcome = 'waiting';
  #failures = 0;
  #kernelHasWireguard = false;
  #resyncEvery = RESYNC;
  #stopped = false;

  constructor(options: AgentOptions, parts: AgentParts) {
    const { nodeName } = options;
    this.#options = options;
    this.#parts = parts;
    this.#timers = new Timers(parts.clock);
    this.#events = new EventWriter(nodeName, event => parts.datastore.reportEvent(event));
    this.#network = new NetworkWatch(parts, () => this.#broke());
    const ownNode = () => this.#snapshot?.cluster.nodes.get(nodeName);
    this.#keys = {
      4: new OwnKey({ family: 4, nodeName, parts, ownNode }),
      6: new OwnKey({ family: 6, nodeName, parts, ownNode }),
    };
    this.#greeter = new Greeter(parts);
  }

  get status(): AgentStatus {
    return { ...this.#status, published: { 4: this.#keys[4].isPublished, 6: this.#keys[6].isPublished } };
  }

  start(): void {
    this.#network.open();
    this.#watchCluster();
  }

  /** Ends when all is as it shall be: for `--once`. @returns false if that is not so in time */
  settled(patience: number): Promise<boolean> {
    const { clock } = this.#parts;
    const end = clock.now() + patience;
    return new Promise(resolve => {
      const look = (): void => {
        if (this.#isSettled()) resolve(true);
        else if (clock.now() >= end || this.#stopped) resolve(false);
        else clock.after(Math.min(100, end - clock.now()), look);
      };
      look();
    });
  }

  /** The turn under way is waited for. What runs on this node goes on running, and our key stays. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timers.close();
    this.#greeter.close();
    this.#watching?.close();
    this.#network.close();
    await this.#turn;
    this.#parts.publisher.close();
  }

  #watchCluster(): void {
    this.#watching?.close();
    this.#watching = this.#parts.datastore.watch(snapshot => {
      if (this.#stopped) return;
      this.#snapshot = snapshot;
      const own = snapshot.cluster.nodes.get(this.#options.nodeName);
      if (own || snapshot.synced) this.#parts.publisher.see(own?.annotations);
      this.#wake('changes');
    });
  }

  #wake(what: 'changes' | 'everything'): void {
    if (this.#stopped) return;
    if (this.#due !== 'everything') this.#due = what;
    this.#turn ??= this.#turns().finally(() => {
      this.#turn = undefined;
      // asked for after the last look
      if (this.#due !== 'nothing') this.#wake(this.#due);
    });
  }

  async #turns(): Promise<void> {
    const { clock } = this.#parts;
    // what comes at once is one turn
    await Promise.resolve();
    while (this.#due !== 'nothing' && !this.#stopped) {
      const full = this.#due === 'everything';
      this.#due = 'nothing';
      if (full) this.#isBroken = false;
      this.#change({ turns: { ...this.#status.turns, begun: clock.now() } });
      this.#outcome = await this.#once(full).catch((error: unknown) => this.#threw(error));
      const failed = this.#outcome === 'failed' ? 1 : 0;
      const { begun: _, ...turns } = this.#status.turns;
      this.#change({
        turns: { ...turns, count: turns.count + 1, failed: turns.failed + failed, lastEnd: clock.now() },
      });
      if (full) this.#lastFull = clock.now();
      this.#plan();
    }
  }

  /** Nothing of a turn ends the loop. */
  #threw(error: unknown): Outcome {
    const message = (error as Error).message ?? String(error);
    if (this.#status.failure !== message) this.#parts.warn(`this turn failed: ${(error as Error).stack ?? message}`);
    const others = this.#status.problems.filter(({ reason }) => reason !== TURN_FAILED);
    this.#change({ failure: message, problems: [...others, { object: 'Host', reason: TURN_FAILED, message }] });
    try {
      this.#events.write(this.status);
    } catch {
      // it may be what failed
    }
    return 'failed';
  }

  /** When the next turn comes, if nothing else asks for one. */
  #plan(): void {
    const seconds = this.#status.plan?.parameters.RouteRefreshInterval ?? 0;
    const every = Math.min(seconds * 1000 || RESYNC, LONGEST_RESYNC);
    if (every !== this.#resyncEvery) this.#timers.forget('resync');
    this.#resyncEvery = every;
    this.#timers.set('resync', every * (1 + JITTER * this.#parts.random()), () => this.#wake('everything'));
    if (this.#isBroken) this.#repair();
    if (this.#outcome === 'done') {
      this.#failures = 0;
      this.#timers.forget('retry');
    } else if (this.#outcome === 'failed' && !this.#timers.has('retry')) {
      const pause = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** this.#failures++);
      this.#timers.set('retry', pause, () => this.#wake('everything'));
    }
  }

  /** During a turn it may be the turn's own doing, and is seen to after it. */
  #broke(): void {
    this.#isBroken = true;
    if (!this.#turn) this.#repair();
  }

  #repair(): void {
    const left = this.#lastFull + LEAST_BETWEEN_FULL - this.#parts.clock.now();
    const look = (): void => {
      if (this.#isBroken && !this.#turn) this.#wake('everything');
    };
    this.#timers.set('full', Math.max(left, 0), look);
  }

  async #once(full: boolean): Promise<Outcome> {
    const { datastore, machine } = this.#parts;
    if (full) this.#kernelHasWireguard = !this.#options.takeOver && (await machine.kernelHasWireguard());
    const snapshot = this.#snapshot;
    sayStaleness(this.#parts, this.#status.stale, snapshot?.stale);
    this.#change({ stale: snapshot?.stale });
    if (!snapshot?.synced) {
      const { plan } = this.#status;
      // a resync is for what runs; of what shall run nothing is known
      if (plan && full) return this.#carryOut(plan, full, snapshot);
      if (!plan) this.#tell(snapshot?.problems ?? []);
      return 'waiting';
    }
    for (const family of FAMILIES) this.#keys[family].read();
    const began = performance.now();
    const plan = this.#planner.plan({
      cluster: snapshot.cluster,
      nodeName: this.#options.nodeName,
      environment: this.#options.environment,
      felixFile: machine.felixFile(),
      options: this.#options.plan,
      facts: await machine.facts(),
      ownPublicKey: this.#ownPublicKeys(),
    });
    const planSeconds = (performance.now() - began) / 1000;
    this.#change({ turns: { ...this.#status.turns, planSeconds } });
    if (plan.wantsPods !== this.#wantsPods) {
      this.#wantsPods = plan.wantsPods;
      datastore.wantPods(plan.wantsPods);
      if (plan.wantsPods) {
        // a plan without the pods would be one without their addresses, and what was seen so far is without them
        if (this.#snapshot) this.#snapshot = { ...this.#snapshot, synced: false };
        this.#watchCluster();
        return 'waiting';
      }
    }
    return this.#carryOut(plan, full, snapshot);
  }

  async #carryOut(plan: Plan, full: boolean, snapshot: Snapshot | undefined): Promise<Outcome> {
    const { applier, say } = this.#parts;
    const handedOver = this.#kernelHasWireguard;
    if (handedOver && this.#status.phase !== 'handed-over')
      say('the kernel has WireGuard itself: this node is left to Felix (take it over with --take-over)');
    this.#change({ phase: handedOver ? 'handed-over' : 'running', plan });
    const desired = handedOver ? { tunnels: {} } : plan.desired;
    // who still sees our key sends into a tunnel that is no more
    const off = FAMILIES.filter(family => !desired.tunnels[family]);
    const found: (Problem | undefined)[] = await Promise.all(off.map(family => this.#keys[family].withdraw()));
    const began = performance.now();
    const applied = await applier.apply(desired, { full });
    const { turns } = this.#status;
    const applySeconds = (performance.now() - began) / 1000;
    this.#change({ applied, turns: { ...turns, applySeconds, changes: turns.changes + applied.changes } });
    for (const family of FAMILIES) {
      if (!desired.tunnels[family]) continue;
      const key = this.#keys[family];
      const { ready, publicKey } = applied.tunnels[family] ?? { ready: false };
      if (ready && publicKey !== undefined) key.publish(publicKey);
      else void key.withdraw();
      // made just now: whoever else has it is none to talk to
      if (key.read()) this.#wake('changes');
      if (snapshot?.synced && !snapshot.stale) found.push(await key.ensureAddress(snapshot.cluster, full));
    }
    const ours = found.flatMap(problem => problem ?? []);
    this.#change({ failure: undefined });
    this.#tell([...(snapshot?.problems ?? []), ...plan.problems, ...applyProblems(applied), ...ours]);
    const failed =
      Object.values(applied.tunnels).some(tunnel => tunnel.error) ||
      ours.some(({ reason }) => PASSING.includes(reason));
    return failed ? 'failed' : 'done';
  }

  #tell(problems: readonly Problem[]): void {
    this.#change({ problems });
    this.#events.write(this.status);
  }

  #isSettled(): boolean {
    if (this.#turn || this.#due !== 'nothing' || this.#outcome !== 'done') return false;
    const { phase, plan } = this.#status;
    return (
      unreadiness(this.status).length === 0 &&
      FAMILIES.every(family => {
        const tunnel = phase === 'handed-over' ? undefined : plan?.desired.tunnels[family];
        return !tunnel || !this.#parts.allocator || tunnel.address !== undefined;
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

  #change(change: { [K in keyof AgentStatus]?: AgentStatus[K] | undefined }): void {
    const all = Object.entries({ ...this.#status, ...change }).filter(([, value]) => value !== undefined);
    this.#status = Object.fromEntries(all) as unknown as AgentStatus;
  }
}
