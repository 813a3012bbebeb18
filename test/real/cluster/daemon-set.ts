/** The agent's DaemonSet on the real cluster: what an operator does with it and asks of it. */
import { until } from '../../netns/command.ts';
import type { RealCluster } from './cluster.ts';
import { nodeName } from './network.ts';

const KEY = 'projectcalico.org/WireguardPublicKey';

export interface AgentPod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
interface ContainerStatus {
  readonly ready: boolean;
  readonly restartCount: number;
  readonly containerID: string;
  readonly lastState: { readonly terminated?: { readonly reason: string; readonly exitCode: number } };
}

export class AgentDaemonSet {
  readonly namespace: string;
  readonly #cluster: RealCluster;

  constructor(cluster: RealCluster, namespace: string) {
    this.#cluster = cluster;
    this.namespace = namespace;
  }

  /**
   * Applies an overlay, as the guide says, and waits until all agents are ready.
   * @param what kubectl's options: `-k FOLDER`, or `-f -` with the manifests as input
   */
  static async install(
    cluster: RealCluster,
    what: readonly string[],
    namespace: string,
    input?: string,
  ): Promise<AgentDaemonSet> {
    await cluster.kubectl(['apply', ...what], input);
    const set = new AgentDaemonSet(cluster, namespace);
    await set.untilRolledOut();
    return set;
  }

  async untilRolledOut(name = 'wireguard-ts'): Promise<void> {
    const wait = ['rollout', 'status', `daemonset/${name}`, '--timeout=120s'];
    await this.#kubectl(...wait).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await this.describe()}`);
    });
  }

  /** Returns the agents' pods, without those that are being deleted. */
  async pods(): Promise<readonly AgentPod[]> {
    const selector = 'app.kubernetes.io/name=wireguard-ts,app.kubernetes.io/component=agent';
    const list = await this.#cluster.get<{ items: AgentPod[] }>('pods', '-n', this.namespace, '-l', selector);
    return list.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  async podOn(index: number): Promise<AgentPod> {
    const found = (await this.pods()).find(({ spec }) => spec.nodeName === nodeName(index));
    if (!found) throw new Error(`${nodeName(index)} has no agent`);
    return found;
  }

  /** Waits until another pod than this one is ready on the node. */
  async untilReplaced(index: number, old: AgentPod): Promise<AgentPod> {
    return await until(`a new agent on ${nodeName(index)}`, async () => {
      const now = (await this.pods()).find(
        ({ spec, metadata }) => spec.nodeName === nodeName(index) && metadata.uid !== old.metadata.uid,
      );
      return now?.status.containerStatuses?.every(({ ready }) => ready) ? now : undefined;
    });
  }

  async logs(pod: AgentPod, ...more: readonly string[]): Promise<string> {
    return this.#kubectl('logs', pod.metadata.name, ...more);
  }

  /** Returns each node's published key. */
  async keys(): Promise<ReadonlyMap<string, string>> {
    const { items } = await this.#cluster.get<{
      items: { metadata: { name: string; annotations?: Record<string, string> } }[];
    }>('nodes');
    return new Map(
      items.flatMap(({ metadata: { name, annotations } }) => {
        const key = annotations?.[KEY];
        return key === undefined || key === '' ? [] : [[name, key] as const];
      }),
    );
  }

  async untilKeys(count: number): Promise<void> {
    await until(`${count} published keys`, async () => (await this.keys()).size === count);
  }

  /** Gives the agents tokens that expire after ten minutes: Kubernetes allows no shorter time. */
  async shortenTokens(): Promise<void> {
    const name = 'short-token';
    const sources = [
      { serviceAccountToken: { path: 'token', expirationSeconds: 600 } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    ];
    const mount = { name, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true };
    const patch = [
      { op: 'add', path: '/spec/template/spec/automountServiceAccountToken', value: false },
      { op: 'add', path: '/spec/template/spec/volumes/-', value: { name, projected: { sources } } },
      { op: 'add', path: '/spec/template/spec/containers/0/volumeMounts/-', value: mount },
    ];
    await this.#kubectl('patch', 'daemonset/wireguard-ts', '--type=json', '-p', JSON.stringify(patch));
    await this.untilRolledOut();
  }

  /** What a person would look at, for a failed test. */
  async describe(): Promise<string> {
    const parts = await Promise.all([
      this.#kubectl('get', 'pods', '-o', 'wide'),
      this.#kubectl('describe', 'pods', '-l', 'app.kubernetes.io/name=wireguard-ts'),
      this.#kubectl('logs', '-l', 'app.kubernetes.io/component=agent', '--tail=40', '--prefix').catch(String),
    ]);
    return parts.join('\n');
  }

  #kubectl(...args: readonly string[]): Promise<string> {
    return this.#cluster.kubectl(['-n', this.namespace, ...args]);
  }
}
