/**
 * Makes every agent leave its node in order, by two rollouts of its DaemonSet:
 *
 * 1. The new agents take the tunnels over, and their environment switches WireGuard off: each
 *    withdraws its key, and then removes its tunnel. Until then, the tunnel works.
 * 2. `wgts calico --withdraw` runs once on each node, as an init container. It removes what is
 *    left, and fails while the key cannot be withdrawn.
 *
 * The functions return the changed DaemonSet. Changing it twice changes nothing.
 */
import { copyOf, field, hasFields, listField, type Resource, textField } from '../../model/resource.ts';

interface Pod {
  readonly containers: readonly unknown[];
  readonly [field: string]: unknown;
}

const OFF = ['FELIX_WIREGUARDENABLED', 'FELIX_WIREGUARDENABLEDV6'];
/** Options that oppose the withdrawal. */
const OPPOSED = ['--always', '--withdraw', '--once'];
const ALL_AT_ONCE = '100%';

/** Returns the DaemonSet with agents that switch WireGuard off on their node. */
export function switchedOff(daemonSet: Resource): Resource {
  const pod = podOf(daemonSet);
  const [agent, ...others] = pod.containers;
  if (isWithdrawing(daemonSet)) return daemonSet;
  const env = listField(agent, 'env').filter(each => !isOff(each));
  const changed = {
    ...(agent as object),
    args: argumentsOf(agent),
    env: [...env, ...OFF.map(name => ({ name, value: 'false' }))],
  };
  return withPod(daemonSet, { ...pod, containers: [changed, ...others] }, { maxSurge: ALL_AT_ONCE, maxUnavailable: 0 });
}

/**
 * Returns the DaemonSet with pods that remove everything from their node, and then wait.
 * @param waiting a container that does nothing: the one of the labeller
 */
export function withdrawing(daemonSet: Resource, waiting: unknown): Resource {
  const pod = podOf(daemonSet);
  if (isWithdrawing(daemonSet)) return daemonSet;
  const [agent] = pod.containers;
  const { startupProbe, livenessProbe, readinessProbe, ...rest } = agent as Readonly<Record<string, unknown>>;
  const initContainers = [{ ...rest, name: WITHDRAW, args: [...argumentsOf(agent), '--withdraw'] }];
  const containers = [{ ...(waiting as object), image: rest['image'], imagePullPolicy: rest['imagePullPolicy'] }];
  const strategy = { maxSurge: 0, maxUnavailable: ALL_AT_ONCE };
  return withPod(daemonSet, { ...pod, initContainers, containers }, strategy);
}

/** The name of the init container. */
const WITHDRAW = 'withdraw';

function isWithdrawing(daemonSet: Resource): boolean {
  const first = listField(daemonSet, 'spec', 'template', 'spec', 'initContainers')[0];
  return textField(first, 'name') === WITHDRAW;
}

function argumentsOf(agent: unknown): readonly string[] {
  return listField(agent, 'args')
    .map(String)
    .filter(each => !OPPOSED.includes(each));
}

function isOff(entry: unknown): boolean {
  return OFF.includes(textField(entry, 'name')?.toUpperCase() ?? '');
}

function podOf(daemonSet: Resource): Pod {
  const pod = field(daemonSet, 'spec', 'template', 'spec');
  const containers = listField(pod, 'containers');
  if (!hasFields(pod) || !hasFields(containers[0]))
    throw new Error(`DaemonSet ${daemonSet.metadata.name} has no container: it is not an agent's`);
  return { ...pod, containers };
}

function withPod(daemonSet: Resource, pod: Pod, rollingUpdate: object): Resource {
  const copy = copyOf(daemonSet);
  const spec = field(copy, 'spec') as object;
  const template = field(spec, 'template') as object;
  return {
    ...copy,
    spec: { ...spec, updateStrategy: { type: 'RollingUpdate', rollingUpdate }, template: { ...template, spec: pod } },
  };
}
