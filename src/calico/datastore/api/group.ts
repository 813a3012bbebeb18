/**
 * Follows the group in which Calico keeps its objects (docs/reference/calico-felix.md#api-groups): that of CALICO_API_GROUP, else the one that Calico itself uses. It is looked
 * for at the start, whenever a ClusterInformation changes, and when a reader misses its objects; until it is plain where they are, again and again.
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
  /** CALICO_API_GROUP is read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pace: Pace;
  /** The group, `locked` or `problems` may be others. */
  readonly changed: () => void;
}

const PLURALS = KINDS.filter(kind => KIND[kind].group === 'calico').map(kind => KIND[kind].plural);
const NOTHING: GroupView = { served: 'absent', ready: undefined };
/** Between looks while the group that is followed is locked or gone: soon at first, then as often as many nodes may. */
const [URGENT_MS, PATIENT_MS] = [1000, 5000];
const URGENT_LOOKS = 60;

export class ApiGroup {
  readonly #options: ApiGroupOptions;
  readonly #told: CalicoGroup | undefined;
  readonly #abort = new AbortController();
  readonly #watches = new Map<CalicoGroup, ReadyWatch>();
  #views: Record<CalicoGroup, GroupView> = { [CALICO_GROUPS[0]]: NOTHING, [CALICO_GROUPS[1]]: NOTHING };
  #current: CalicoGroup | undefined;
  #moved = new AbortController();
  #problem: Problem | undefined;
  #isFollowing = false;
  #looking: Promise<unknown> = Promise.resolve();
  #next: Promise<CalicoGroup | undefined> | undefined;
  #seeking: Promise<void> | undefined;

  /** @throws EINVAL for a CALICO_API_GROUP that is none */
  constructor(options: ApiGroupOptions) {
    this.#options = options;
    this.#told = toldBy(options.env['CALICO_API_GROUP']);
    this.#current = this.#told;
  }

  /** The group that is followed; undefined while none is known. */
  get current(): CalicoGroup | undefined {
    return this.#current;
  }

  /** Aborts when the group becomes another. */
  get moved(): AbortSignal {
    return this.#moved.signal;
  }

  /** Whether Calico itself uses the group that is followed, by its own word. */
  get isReady(): boolean {
    return this.#current !== undefined && this.#views[this.#current].ready === true;
  }

  /** Why what is read stands still, where Calico has locked it. */
  get locked(): string | undefined {
    if (!this.#current || this.#views[this.#current].ready !== false) return undefined;
    return `Calico has locked ${this.#current} for a migration (datastoreReady of its ClusterInformation is false): what was read there counts`;
  }

  get problems(): readonly Problem[] {
    return this.#problem ? [this.#problem] : [];
  }

  /** Begins to watch for moves. */
  follow(): void {
    this.#isFollowing = true;
    void this.look().catch(() => undefined);
  }

  /** The server has answered somebody: what could not be watched may be there again. */
  answered(): void {
    if (this.#isFollowing && this.#current && !this.#watches.has(this.#current))
      void this.look().catch(() => undefined);
  }

  /** Undefined while the server has neither. Rejects as a request does. */
  async find(): Promise<CalicoGroup | undefined> {
    return this.#current ?? (await this.look());
  }

  /** As `find`, but asks anew: what is known is not there any more, or may not be what Calico uses. */
  look(): Promise<CalicoGroup | undefined> {
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined;
      const look = this.#look();
      this.#looking = look.catch(() => undefined);
      return look;
    });
    return this.#next;
  }

  /** Whether a group has a definition. Rejects as a request does. */
  async definition(group: CalicoGroup, plural: string): Promise<Definition> {
    return (await readDefinitions(this.#options.connection, group, this.#abort.signal))(plural);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#watches.values()].map(watch => watch.close()));
    await Promise.all([this.#next?.catch(() => undefined), this.#looking, this.#seeking]);
  }

  async #look(): Promise<CalicoGroup | undefined> {
    const listed = this.#told ? [this.#told] : await this.#listed();
    const denied = new Map<CalicoGroup, Problem>();
    const views = { ...this.#views };
    for (const group of CALICO_GROUPS) if (!listed.includes(group)) views[group] = NOTHING;
    const first = this.#current ?? CALICO_GROUPS[0];
    for (const group of [...listed].sort((a, b) => Number(b === first) - Number(a === first))) {
      try {
        views[group] = await this.#view(group, denied);
      } catch (error) {
        // the other may be an aggregated API server that is away
        if (group === first) throw error;
      }
      if (this.#isFollowing) this.#watch(group);
      if (group === first && views[group].served === 'whole' && views[group].ready === true) break;
    }
    for (const [group, watch] of this.#watches)
      if (!listed.includes(group)) {
        this.#watches.delete(group);
        void watch.close();
      }
    const before = [this.#current, this.locked, this.#problem?.message].join();
    this.#views = views;
    const chosen = this.#told ?? chooseGroup(views, this.#current);
    if (chosen !== this.#current) this.#follow(chosen);
    // of the other group only who needs to know of it
    const [other] = this.#isAdrift() ? denied.values() : [];
    this.#problem = (chosen && denied.get(chosen)) ?? other;
    if ([this.#current, this.locked, this.#problem?.message].join() !== before) this.#options.changed();
    if (this.#isFollowing && this.#isAdrift()) this.#seeking ??= this.#seek();
    return this.#current;
  }

  #follow(group: CalicoGroup | undefined): void {
    this.#current = group;
    this.#moved.abort();
    this.#moved = new AbortController();
  }

  #watch(group: CalicoGroup): void {
    if (this.#watches.has(group) || this.#abort.signal.aborted) return;
    const { connection, pace } = this.#options;
    const onChange = (): void => {
      if (!this.#abort.signal.aborted) void this.look().catch(() => undefined);
    };
    const onEnd = (): void => void this.#watches.delete(group);
    this.#watches.set(group, new ReadyWatch({ connection, pace, group, onChange, onEnd }));
  }

  /** Whether what is followed is no longer where Calico works, and it is not known where that is. */
  #isAdrift(): boolean {
    if (!this.#current || this.#told) return false;
    const { served, ready } = this.#views[this.#current];
    return ready === false || served === 'absent';
  }

  async #seek(): Promise<void> {
    const { signal } = this.#abort;
    for (let i = 0; !signal.aborted && this.#isAdrift(); i++) {
      await this.#options.pace.sleep(i < URGENT_LOOKS ? URGENT_MS : PATIENT_MS, signal);
      if (!signal.aborted) await this.look().catch(() => undefined);
    }
    this.#seeking = undefined;
  }

  /** Of Calico's groups those that the server has. */
  async #listed(): Promise<readonly CalicoGroup[]> {
    let answer: unknown;
    try {
      answer = await this.#options.connection.request({ method: 'GET', path: '/apis', signal: this.#abort.signal });
    } catch (error) {
      // who may not ask tries the usual one
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
      readDefinitions(connection, group, this.#abort.signal).catch(unsaidIfForbidden),
      this.#ready(group, denied),
    ]);
    const standing = PLURALS.filter(plural => ['stands', 'unsaid'].includes(definition(plural)));
    const known = PLURALS.filter(plural => definition(plural) !== 'absent');
    if (standing.length === PLURALS.length) return { served: 'whole', ready };
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

function unsaidIfForbidden(error: unknown): (plural: string) => Definition {
  if (error instanceof ApiError && error.status === 403) return () => 'unsaid';
  throw error;
}

function toldBy(value: string | undefined): CalicoGroup | undefined {
  if (value === undefined || value === '') return undefined;
  const found = CALICO_GROUPS.find(group => group === value || group.split('/')[0] === value);
  if (found) return found;
  throw codedError('EINVAL', `CALICO_API_GROUP is ${quoted(value)}, but must be ${CALICO_GROUPS.join(' or ')}`);
}
