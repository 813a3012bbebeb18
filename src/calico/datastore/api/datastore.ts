/** Implements Datastore on an API server, with a kubeconfig or a pod's service account. */
import { setMaxListeners } from 'node:events';
import type { Problem } from '../../model/problem.ts';
import { ChangeNotifier } from '../change-notifier.ts';
import { ClusterCache } from '../cluster-cache.ts';
import type { Datastore } from '../datastore.ts';
import { KINDS, type Kind } from '../resource-kinds.ts';
import { ApiConnection } from './connection.ts';
import { datastoreError, type ReadFailure } from './error.ts';
import { ApiEvents } from './events.ts';
import { ApiGroup } from './group.ts';
import { apiObjects } from './objects.ts';
import { type Pace, SYSTEM_PACE } from './reflector/back-off.ts';
import { ApiReflector } from './reflector/reflector.ts';
import { ServerAddresses } from './server-addresses.ts';

export interface ApiDatastoreOptions {
  /**
   * Path of a kubeconfig. Default: KUBECONFIG, then the pod's service account, then ~/.kube/config.
   */
  readonly kubeconfig?: string;
  /**
   * Environment; only CALICO_API_GROUP, KUBECONFIG and KUBERNETES_SERVICE_HOST are used. Default:
   * process.env.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly pace?: Pace;
  /** Prepended to the paths of a pod's service account; for tests. */
  readonly root?: string;
  /** Longest time without a received byte, in milliseconds; for tests. */
  readonly idleTimeoutMs?: number;
}

/** How often servers are asked for their own address: each connection may reach another one. */
const MOST_QUESTIONS = 32;

/**
 * Opens the datastore. Rejects if the configuration is unusable; retries if the server is
 * unreachable.
 */
export async function openApiDatastore(options: ApiDatastoreOptions = {}): Promise<Datastore> {
  const { kubeconfig, env = process.env, pace = SYSTEM_PACE, idleTimeoutMs, root } = options;
  const servers = new ServerAddresses(() => notifier.notify());
  const connection = await ApiConnection.open({
    env,
    onServerAddress: text => {
      const isNew = servers.add(text);
      // Another server may have answered, which also knows its own address.
      if (started && (isNew || questions === 0) && questions++ < MOST_QUESTIONS) void askServer();
    },
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(idleTimeoutMs !== undefined && { idleTimeoutMs }),
    ...(root !== undefined && { root }),
  });
  const askServer = async (): Promise<void> => {
    const answer = connection.request({ method: 'GET', path: '/api', signal: abort.signal });
    await answer.then(
      api => servers.addAnswer(api),
      // The connection's own address is known, and the readers report a silent server.
      () => undefined,
    );
  };
  const onChange = (): void => notifier.notify();
  const group = new ApiGroup({ connection, env, pace, onChange });
  const cache = new ClusterCache(true);
  const abort = new AbortController();
  // Each pending request adds a listener.
  setMaxListeners(0, abort.signal);
  const reflectors = new Map<Kind, ApiReflector>();
  let started = false;
  let questions = 0;
  let wantsPods = false;
  let ending: Promise<unknown> = Promise.resolve();
  const wanted = (): readonly Kind[] => KINDS.filter(kind => kind !== 'Pod' || wantsPods);
  const problems = joinedProblems();
  const notifier = new ChangeNotifier(() => {
    const all = [...reflectors.values()];
    const failures = all.flatMap(({ failure }) => failure ?? []);
    const denied = failures.flatMap(({ problem }) => problem ?? []);
    const held = all.flatMap(reflector => reflector.heldProblem ?? []);
    return {
      cluster: cache.cluster,
      problems: problems(cache.problems, [...denied, ...held, ...group.problems]),
      synced: wanted().every(kind => reflectors.get(kind)?.hasSynced),
      ...staleness(failures, group.locked),
      ...(group.current && { apiGroup: group.current }),
      keyOwners: cache.keyOwners,
      apiServers: servers.all,
    };
  });
  const events = new ApiEvents({ connection, pace, uidOf: node => cache.cluster.nodes.get(node)?.uid });
  const startReflector = (kind: Kind): void => {
    if (reflectors.has(kind)) return;
    const reflector = new ApiReflector({ kind, connection, group, cache, pace, onChange });
    reflectors.set(kind, reflector);
    reflector.start();
  };
  const patch = async (node: string, metadata: object): Promise<void> => {
    const path = `/api/v1/nodes/${node}`;
    await connection.request({ method: 'PATCH', path, body: { metadata }, signal: abort.signal }).catch(error => {
      throw datastoreError(error);
    });
  };
  return {
    watch(listener) {
      if (!started) {
        group.watchForMoves();
        servers.add(env['KUBERNETES_SERVICE_HOST']);
      }
      started = true;
      for (const kind of wanted()) startReflector(kind);
      return notifier.add(listener);
    },
    wantPods(want) {
      wantsPods = want;
      const reflector = reflectors.get('Pod');
      if (want && started)
        ending = ending.then(() => void (wantsPods && !abort.signal.aborted && startReflector('Pod')));
      if (!want && reflector) {
        reflectors.delete('Pod');
        ending = ending.then(() => reflector.close()).then(() => cache.replace('Pod', []));
        void ending.then(() => notifier.notify());
      }
    },
    rememberKeyOwners(owners) {
      cache.rememberKeyOwners(owners);
      notifier.notify();
    },
    patchNode: (name, annotations) => patch(`${encodeURIComponent(name)}/status`, { annotations }),
    labelNode: (name, labels) => patch(encodeURIComponent(name), { labels }),
    reportEvent: event => events.report(event),
    objects: apiObjects(connection, group, abort.signal),
    async close() {
      notifier.close();
      abort.abort();
      const reflectorsEnd = [...reflectors.values()].map(reflector => reflector.close());
      await Promise.all([...reflectorsEnd, group.close(), events.close()]);
      await ending;
    },
  };
}

/** Reports the oldest failure, which shows since when the state is stale. */
function staleness(failures: readonly ReadFailure[], locked: string | undefined): { readonly stale?: string } {
  const oldest = failures.reduce<ReadFailure | undefined>((a, b) => (a && a.since <= b.since ? a : b), undefined);
  if (oldest) return { stale: `${oldest.message} (since ${new Date(oldest.since).toISOString()})` };
  return locked === undefined ? {} : { stale: locked };
}

/** Returns a function that joins two lists; it returns the same array until one of them changes. */
function joinedProblems(): (known: readonly Problem[], more: readonly Problem[]) => readonly Problem[] {
  let last: readonly unknown[] = [];
  let joined: readonly Problem[] = [];
  return (known, more) => {
    const now = [known, ...more.map(({ message }) => message)];
    if (now.length !== last.length || now.some((each, i) => each !== last[i])) joined = [...known, ...more];
    last = now;
    return joined;
  };
}
