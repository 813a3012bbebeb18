/**
 * Follows the API group in which Calico keeps its objects
 * (docs/reference/calico-felix.md#api-groups). CALICO_API_GROUP names this group; by default it is
 * the group that Calico itself uses. The group is determined at the start, whenever a
 * ClusterInformation changes, and when a reflector's objects are missing on the server. While the
 * followed group is locked or gone, the server is polled.
 */
import { codedError } from '../../../base/coded-error.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { isFields } from '../parse/reader.ts';
import { CALICO_GROUPS, type CalicoGroup, KIND, KINDS } from '../resource-kinds.ts';
import type { ApiConnection } from './connection.ts';
import { ApiError } from './error.ts';
import { chooseGroup, type GroupView } from './group-choice.ts';
import type { Pace } from './reflector/back-off.ts';
import { type Definition, readDefinitions } from './reflector/definitions.ts';
import { ReadyWatch } from './reflector/ready-watch.ts';

export interface ApiGroupOptions {
  readonly connection: ApiConnection;
  /** Environment; only CALICO_API_GROUP is used. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pace: Pace;
  /** Called when the group, `locked` or `problems` may have changed. */
  readonly onChange: () => void;
}

const PLURALS = KINDS.filter(kind => KIND[kind].group === 'calico').map(kind => KIND[kind].plural);
const ABSENT_GROUP: GroupView = { served: 'absent', ready: undefined };
/**
 * Poll interval while the followed group is locked or gone: short at first, then longer, to limit
 * load in large clusters.
 */
const [URGENT_MS, PATIENT_MS] = [1000, 5000];
const URGENT_POLLS = 60;

export class ApiGroup {
  readonly #options: ApiGroupOptions;
  readonly #configured: CalicoGroup | undefined;
  readonly #abort = new AbortController();
  readonly #watches = new Map<CalicoGroup, ReadyWatch>();
  #views: Record<CalicoGroup, GroupView> = { [CALICO_GROUPS[0]]: ABSENT_GROUP, [CALICO_GROUPS[1]]: ABSENT_GROUP };
  #current: CalicoGroup | undefined;
  #moveAbort = new AbortController();
  #problem: Problem | undefined;
  #isWatching = false;
  #refreshing: Promise<unknown> = Promise.resolve();
  #nextRefresh: Promise<CalicoGroup | undefined> | undefined;
  #polling: Promise<void> | undefined;

  /** @throws EINVAL for an unknown CALICO_API_GROUP */
  constructor(options: ApiGroupOptions) {
    this.#options = options;
    this.#configured = configuredGroup(options.env['CALICO_API_GROUP']);
    this.#current = this.#configured;
  }

  /** The followed group; undefined while none is known. */
  get current(): CalicoGroup | undefined {
    return this.#current;
  }

  /** Aborted when the followed group changes. */
  get moved(): AbortSignal {
    return this.#moveAbort.signal;
  }

  /** Whether Calico's ClusterInformation declares the followed group ready. */
  get isReady(): boolean {
    return this.#current !== undefined && this.#views[this.#current].ready === true;
  }

  /** If Calico has locked the followed group: the reason the state is stale. */
  get locked(): string | undefined {
    if (!this.#current || this.#views[this.#current].ready !== false) return undefined;
    return `Calico has locked ${this.#current} for a migration (datastoreReady of its ClusterInformation is false), so its last known state stays in effect`;
  }

  get problems(): readonly Problem[] {
    return this.#problem ? [this.#problem] : [];
  }

  /** Starts watching for moves between the groups. */
  watchForMoves(): void {
    this.#isWatching = true;
    void this.refresh().catch(() => undefined);
  }

  /**
   * Retries a missing watch of the followed group. Call this when the server has answered any
   * request.
   */
  onServerAnswer(): void {
    if (this.#isWatching && this.#current && !this.#watches.has(this.#current))
      void this.refresh().catch(() => undefined);
  }

  /**
   * Returns the followed group; undefined while the server has neither group. Rejects with the
   * error of the failed request.
   */
  async resolve(): Promise<CalicoGroup | undefined> {
    return this.#current ?? (await this.refresh());
  }

  /**
   * Like `resolve`, but always asks the server: the known group may be gone, or Calico may have
   * left it.
   */
  refresh(): Promise<CalicoGroup | undefined> {
    this.#nextRefresh ??= this.#refreshing.then(() => {
      this.#nextRefresh = undefined;
      const refresh = this.#readGroups();
      this.#refreshing = refresh.catch(() => undefined);
      return refresh;
    });
    return this.#nextRefresh;
  }

  /** Returns the state of a kind's CRD in a group. Rejects with the error of the failed request. */
  async definition(group: CalicoGroup, plural: string): Promise<Definition> {
    return (await readDefinitions(this.#options.connection, group, this.#abort.signal))(plural);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#watches.values()].map(watch => watch.close()));
    await Promise.all([this.#nextRefresh?.catch(() => undefined), this.#refreshing, this.#polling]);
  }

  async #readGroups(): Promise<CalicoGroup | undefined> {
    const listed = this.#configured ? [this.#configured] : await this.#listed();
    const denied = new Map<CalicoGroup, Problem>();
    const views = { ...this.#views };
    for (const group of CALICO_GROUPS) if (!listed.includes(group)) views[group] = ABSENT_GROUP;
    const first = this.#current ?? CALICO_GROUPS[0];
    for (const group of [...listed].sort((a, b) => Number(b === first) - Number(a === first))) {
      try {
        views[group] = await this.#view(group, denied);
      } catch (error) {
        // The other group may belong to an unreachable aggregated API server.
        if (group === first) throw error;
      }
      if (this.#isWatching) this.#watch(group);
      if (group === first && views[group].served === 'whole' && views[group].ready === true) break;
    }
    for (const [group, watch] of this.#watches)
      if (!listed.includes(group)) {
        this.#watches.delete(group);
        void watch.close();
      }
    const before = [this.#current, this.locked, this.#problem?.message].join();
    this.#views = views;
    const chosen = this.#configured ?? chooseGroup(views, this.#current);
    if (chosen !== this.#current) this.#switchTo(chosen);
    // Report a denied permission on the other group only while the followed group is unsettled.
    const [other] = this.#isUnsettled() ? denied.values() : [];
    this.#problem = (chosen && denied.get(chosen)) ?? other;
    if ([this.#current, this.locked, this.#problem?.message].join() !== before) this.#options.onChange();
    if (this.#isWatching && this.#isUnsettled()) this.#polling ??= this.#pollUntilSettled();
    return this.#current;
  }

  #switchTo(group: CalicoGroup | undefined): void {
    this.#current = group;
    this.#moveAbort.abort();
    this.#moveAbort = new AbortController();
  }

  #watch(group: CalicoGroup): void {
    if (this.#watches.has(group) || this.#abort.signal.aborted) return;
    const { connection, pace } = this.#options;
    const onChange = (): void => {
      if (!this.#abort.signal.aborted) void this.refresh().catch(() => undefined);
    };
    const onEnd = (): void => void this.#watches.delete(group);
    this.#watches.set(group, new ReadyWatch({ connection, pace, group, onChange, onEnd }));
  }

  /** Whether the followed group is locked or gone, so that Calico may move to the other group. */
  #isUnsettled(): boolean {
    if (!this.#current || this.#configured) return false;
    const { served, ready } = this.#views[this.#current];
    return ready === false || served === 'absent';
  }

  async #pollUntilSettled(): Promise<void> {
    const { signal } = this.#abort;
    for (let i = 0; !signal.aborted && this.#isUnsettled(); i++) {
      await this.#options.pace.sleep(i < URGENT_POLLS ? URGENT_MS : PATIENT_MS, signal);
      if (!signal.aborted) await this.refresh().catch(() => undefined);
    }
    this.#polling = undefined;
  }

  /** Returns the API groups of Calico that the server has. */
  async #listed(): Promise<readonly CalicoGroup[]> {
    let answer: unknown;
    try {
      answer = await this.#options.connection.request({ method: 'GET', path: '/apis', signal: this.#abort.signal });
    } catch (error) {
      // Without permission to list the groups, assume the usual group.
      if (error instanceof ApiError && error.status === 403) return [this.#current ?? CALICO_GROUPS[0]];
      throw error;
    }
    const groups = isFields(answer) && Array.isArray(answer['groups']) ? (answer['groups'] as readonly unknown[]) : [];
    const names = groups.map(group => (isFields(group) ? group['name'] : undefined));
    return CALICO_GROUPS.filter(group => names.includes(group.split('/')[0]));
  }

  async #view(group: CalicoGroup, denied: Map<CalicoGroup, Problem>): Promise<GroupView> {
    const { connection } = this.#options;
    const [definition, ready] = await Promise.all([
      readDefinitions(connection, group, this.#abort.signal).catch(unknownIfForbidden),
      this.#ready(group, denied),
    ]);
    const established = PLURALS.filter(plural => ['established', 'unknown'].includes(definition(plural)));
    const known = PLURALS.filter(plural => definition(plural) !== 'absent');
    if (established.length === PLURALS.length) return { served: 'whole', ready };
    return { served: known.length > 0 ? 'partly' : 'absent', ready };
  }

  async #ready(group: CalicoGroup, denied: Map<CalicoGroup, Problem>): Promise<GroupView['ready']> {
    const path = `/apis/${group}/clusterinformations/default`;
    try {
      const answer = await this.#options.connection.request({ method: 'GET', path, signal: this.#abort.signal });
      const spec = isFields(answer) && isFields(answer['spec']) ? answer['spec'] : {};
      const { datastoreReady } = spec;
      return typeof datastoreReady === 'boolean' ? datastoreReady : undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) return undefined;
      if (error.status !== 403) throw error;
      denied.set(group, {
        object: 'API/clusterinformations',
        reason: 'AccessDenied',
        message: `${error.message}; the agent needs get, list and watch of clusterinformations, to follow Calico when it moves to another API group`,
      });
      return 'unreadable';
    }
  }
}

function unknownIfForbidden(error: unknown): (plural: string) => Definition {
  if (error instanceof ApiError && error.status === 403) return () => 'unknown';
  throw error;
}

function configuredGroup(value: string | undefined): CalicoGroup | undefined {
  if (value === undefined || value === '') return undefined;
  const found = CALICO_GROUPS.find(group => group === value || group.split('/')[0] === value);
  if (found) return found;
  throw codedError('EINVAL', `CALICO_API_GROUP is ${quoted(value)}, but must be ${CALICO_GROUPS.join(' or ')}`);
}
