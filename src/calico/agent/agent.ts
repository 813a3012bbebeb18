/**
 * The agent: what is in the cluster, planned and carried out on this node, and our key published, again and again (calico-wireguard 4.10, 5). One turn
 * at a time; whatever happens meanwhile is the next one's. A turn never throws, and what failed is tried again, ever slower up to ten seconds.
 *
 * What runs is never stopped for want of knowledge: while the cluster was not read whole, and when it cannot be read any more, all stays as it was. Only
 * what the cluster says ends a tunnel; the end of this program does not.
 */
import { formatKeyBase64 } from '../../base/key.ts';
import type { Watch } from '../../netlink/events.ts';
import type { Family } from '../../netlink/family.ts';
import type { Closable, Snapshot } from '../datastore/datastore.ts';
import type { PerFamily } from '../model/cluster.ts';
import type { Desired } from '../model/desired.ts';
import type { Problem } from '../model/problem.ts';
import type { Plan } from '../plan/plan.ts';
import { Planner } from '../plan/planner.ts';
import { ADDRESS_ANNOTATION } from '../publish/allocate.ts';
import { APPLY_FAILED, applyProblems, EventWriter } from './event-writer.ts';
import type { AgentOptions, AgentParts } from './parts.ts';
import { type AgentStatus, FIRST_STATUS } from './status.ts';

const FAMILIES: readonly Family[] = [4, 6];
/** Between turns that look at everything, so that what breaks again and again does not keep a processor busy. */
const LEAST_BETWEEN_FULL = 200;
const [FIRST_RETRY, LAST_RETRY] = [500, 10_000];
const REOPEN_WATCH = 1_000;
/** Felix's routeRefreshInterval, as long as nothing else is known. */
const RESYNC = 90_000;
const JITTER = 0.1;

export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #planner = new Planner();
  readonly #events: EventWriter;
  #status: AgentStatus = FIRST_STATUS;
  #snapshot: Snapshot | undefined;
  #wantsPods = false;
  #watching: Closable | undefined;
  #network: Watch | undefined;
  /** What the next turn is for. */
  #due: 'nothing' | 'changes' | 'everything' = 'everything';
  #lastFull = Number.NEGATIVE_INFINITY;
  #turn: Promise<void> | undefined;
  readonly #timers = new Map<'full' | 'retry' | 'resync' | 'watch', () => void>();
  #failures = 0;
  #kernelHasWireguard = false;
  #ownPublicKey: PerFamily<Uint8Array> = {};
  /** Whose key is taken away. */
  readonly #keyless = new Set<Family>();
  #idle: (() => void)[] = [];
  #stopped = false;

  constructor(options: AgentOptions, parts: AgentParts) {
    this.#options = options;
    this.#parts = parts;
    this.#events = new EventWriter(options.nodeName, event => parts.datastore.reportEvent(event));
  }

  get status(): AgentStatus {
    const { publisher } = this.#parts;
    return { ...this.#status, published: { 4: publisher.isPublished(4), 6: publisher.isPublished(6) } };
  }

  start(): void {
    this.#watchNetwork();
    this.#watching = this.#parts.datastore.watch(snapshot => {
      this.#snapshot = snapshot;
      const own = snapshot.cluster.nodes.get(this.#options.nodeName);
      if (own || snapshot.synced) this.#parts.publisher.see(own?.annotations);
      this.#wake('changes');
    });
  }

  /** Ends when nothing is left to do that is known of: for `--once`. @returns false if that is not so in time */
  settled(patience: number): Promise<boolean> {
    return new Promise(resolve => {
      const forget = this.#parts.clock.after(patience, () => resolve(false));
      const look = (): void => {
        const { phase, problems } = this.#status;
        const failed = problems.some(({ reason }) => reason === APPLY_FAILED);
        const done = phase !== 'waiting' && !failed && this.#allPublished();
        if (!done) return void this.#idle.push(look);
        forget();
        resolve(true);
      };
      look();
    });
  }

  /** The turn under way is waited for. What runs on this node goes on running, and our key stays. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const forget of this.#timers.values()) forget();
    this.#watching?.close();
    this.#network?.close();
    await this.#turn;
    this.#parts.publisher.close();
  }

  #wake(what: 'changes' | 'everything'): void {
    if (this.#stopped) return;
    if (this.#due !== 'everything') this.#due = what;
    if (this.#turn) return;
    this.#turn = this.#turns().finally(() => {
      this.#turn = undefined;
      for (const look of this.#idle.splice(0)) look();
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
      this.#change({ turns: { ...this.#status.turns, begun: clock.now() } });
      const failed = await this.#once(full).then(
        ok => !ok,
        (error: unknown) => {
          this.#parts.warn(`this turn failed: ${(error as Error).stack ?? error}`);
          return true;
        },
      );
      const { begun: _, ...turns } = this.#status.turns;
      this.#change({
        turns: { ...turns, count: turns.count + 1, failed: turns.failed + (failed ? 1 : 0), lastEnd: clock.now() },
      });
      if (full) this.#lastFull = clock.now();
      this.#after(failed);
    }
  }

  #after(failed: boolean): void {
    const interval = (this.#status.plan?.parameters.RouteRefreshInterval ?? 0) * 1000 || RESYNC;
    if (!this.#timers.has('resync'))
      this.#later('resync', interval * (1 + JITTER * this.#parts.random()), () => this.#wake('everything'));
    if (!failed) {
      this.#failures = 0;
      this.#forget('retry');
      return;
    }
    const pause = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** this.#failures++);
    this.#later('retry', pause, () => this.#wake('everything'));
  }

  /** @returns whether all was done that can be */
  async #once(full: boolean): Promise<boolean> {
    const { datastore, machine } = this.#parts;
    if (full) this.#kernelHasWireguard = !this.#options.takeOver && (await machine.kernelHasWireguard());
    const snapshot = this.#snapshot;
    this.#change({ ...(snapshot?.stale ? { stale: snapshot.stale } : { stale: undefined }) });
    if (!snapshot?.synced) {
      // a resync is for what runs; of what shall run nothing is known
      if (full && this.#status.plan) await this.#carryOut(this.#status.plan.desired, true, this.#status.plan, snapshot);
      return true;
    }
    for (const family of FAMILIES) this.#ownKey(family);
    const began = performance.now();
    const plan = this.#planner.plan({
      cluster: snapshot.cluster,
      nodeName: this.#options.nodeName,
      environment: this.#options.environment,
      felixFile: machine.felixFile(),
      options: this.#options.plan,
      facts: await machine.facts(),
      ownPublicKey: this.#ownPublicKey,
    });
    const planSeconds = (performance.now() - began) / 1000;
    this.#change({ turns: { ...this.#status.turns, planSeconds } });
    if (plan.wantsPods !== this.#wantsPods) {
      this.#wantsPods = plan.wantsPods;
      datastore.wantPods(plan.wantsPods);
      // a plan without the pods would be one without their addresses
      if (plan.wantsPods) return true;
    }
    const handedOver = this.#kernelHasWireguard;
    if (handedOver && this.#status.phase !== 'handed-over')
      this.#parts.say('the kernel has WireGuard itself: this node is left to Felix (take it over with --take-over)');
    this.#change({ phase: handedOver ? 'handed-over' : 'running', plan });
    return this.#carryOut(handedOver ? { tunnels: {} } : plan.desired, full, plan, snapshot);
  }

  async #carryOut(desired: Desired, full: boolean, plan: Plan, snapshot: Snapshot | undefined): Promise<boolean> {
    const { applier, publisher } = this.#parts;
    // who still sees our key sends into a tunnel that is no more
    await Promise.all(FAMILIES.filter(family => !desired.tunnels[family]).map(family => this.#withdrawKey(family)));
    const began = performance.now();
    const applied = await applier.apply(desired, { full });
    this.#change({
      applied,
      turns: {
        ...this.#status.turns,
        applySeconds: (performance.now() - began) / 1000,
        changes: this.#status.turns.changes + applied.changes,
      },
    });
    for (const family of FAMILIES) {
      if (!desired.tunnels[family]) continue;
      const { ready, publicKey } = applied.tunnels[family] ?? { ready: false };
      if (ready && publicKey !== undefined) {
        this.#keyless.delete(family);
        publisher.publish(family, publicKey);
      } else void this.#withdrawKey(family);
      if (!this.#ownPublicKey[family] && this.#ownKey(family)) this.#wake('changes');
    }
    const problems = [
      ...(snapshot?.problems ?? []),
      ...plan.problems,
      ...applyProblems(applied),
      ...(await this.#addresses(desired, snapshot)),
    ];
    this.#change({ problems });
    this.#events.write(this.status);
    return !Object.values(applied.tunnels).some(tunnel => tunnel.error);
  }

  async #withdrawKey(family: Family): Promise<void> {
    if (this.#keyless.has(family)) return;
    const ours = this.#ownPublicKey[family];
    const { allocator, publisher } = this.#parts;
    const gone = await publisher.withdraw(family, ours ? { ours: formatKeyBase64(ours) } : {});
    if (!gone) return;
    this.#keyless.add(family);
    const own = this.#snapshot?.cluster.nodes.get(this.#options.nodeName);
    if (allocator && own) await allocator.release(family, own.annotations[ADDRESS_ANNOTATION[family]]);
  }

  /** `--allocate`: an address where the key is published and nobody gave one. */
  async #addresses({ tunnels }: Desired, snapshot: Snapshot | undefined): Promise<readonly Problem[]> {
    const { allocator, publisher } = this.#parts;
    const own = snapshot?.cluster.nodes.get(this.#options.nodeName);
    if (!allocator || !own || snapshot?.stale) return [];
    const problems: Problem[] = [];
    for (const family of FAMILIES) {
      if (!tunnels[family] || !publisher.isPublished(family)) continue;
      const { problem } = await allocator.ensure(family, own.annotations[ADDRESS_ANNOTATION[family]]);
      if (problem) problems.push(problem);
    }
    return problems;
  }

  #allPublished(): boolean {
    const tunnels = this.#status.phase === 'handed-over' ? {} : (this.#status.plan?.desired.tunnels ?? {});
    return FAMILIES.every(family => !tunnels[family] || this.#parts.publisher.isPublished(family));
  }

  /** A file that cannot be used is said by apply, which needs it. */
  #ownKey(family: Family): Uint8Array | undefined {
    try {
      const key = this.#parts.machine.ownPublicKey(family);
      if (key) this.#ownPublicKey = { ...this.#ownPublicKey, [family]: key };
      return key;
    } catch {
      return undefined;
    }
  }

  #watchNetwork(): void {
    const again = (problem: string): void => {
      this.#parts.warn(`changes of the network are not heard of: ${problem}`);
      this.#network?.close();
      this.#later('watch', REOPEN_WATCH, () => this.#watchNetwork());
    };
    try {
      this.#network = this.#parts.applier.watch(
        () => {
          const left = this.#lastFull + LEAST_BETWEEN_FULL - this.#parts.clock.now();
          this.#later('full', Math.max(left, 0), () => this.#wake('everything'));
        },
        error => again(error.message),
      );
    } catch (error) {
      again((error as Error).message);
    }
  }

  #later(name: 'full' | 'retry' | 'resync' | 'watch', milliseconds: number, action: () => void): void {
    if (this.#stopped || this.#timers.has(name)) return;
    const forget = this.#parts.clock.after(milliseconds, () => {
      this.#timers.delete(name);
      action();
    });
    this.#timers.set(name, forget);
  }

  #forget(name: 'retry'): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }

  #change(change: { [K in keyof AgentStatus]?: AgentStatus[K] | undefined }): void {
    const { stale, ...rest } = { ...this.#status, ...change };
    this.#status = { ...rest, ...(stale !== undefined && { stale }) } as AgentStatus;
  }
}
