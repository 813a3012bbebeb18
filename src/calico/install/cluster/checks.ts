/**
 * Checks what was found: what is missing for an installation, what is wrong, and how to fix it.
 * Errors stop an installation. Warnings and hints do not.
 */
import type { Choice } from '../render/manifests.ts';
import { mayBindTokens, namespaceOf } from './choice.ts';
import { type CalicoNode, type Found, isOn } from './found.ts';

export interface Finding {
  readonly severity: 'error' | 'warning' | 'hint';
  readonly message: string;
  readonly fix: string;
}

const ENABLE = `kubectl patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":true}}'`;

/** Returns the findings, errors first. @param ownVersion the version of this program */
export function check(found: Found, choice: Choice | undefined, ownVersion: string): readonly Finding[] {
  const findings = [...calico(found, choice), ...nodes(found), ...settings(found, choice)];
  if (choice) findings.push(...agents(found, choice, ownVersion), ...place(found, choice));
  for (const [what, why] of found.unread)
    findings.push({
      severity: 'warning',
      message: `${what} cannot be read, so it was not checked: ${why}`,
      fix: 'use a kubeconfig of an administrator (--kubeconfig FILE), or wait until the server answers',
    });
  const order = ['error', 'warning', 'hint'];
  return findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function* calico(found: Found, choice: Choice | undefined): Generator<Finding> {
  const { calicoNodes, operator, hasCalicoKinds, unread } = found;
  if (calicoNodes.length === 0 && !unread.has('DaemonSets')) {
    const isAbsent = !operator && !hasCalicoKinds;
    yield {
      severity: choice ? 'warning' : 'error',
      message: isAbsent
        ? 'Calico is not installed: there is no DaemonSet calico-node, no Installation of the operator, and no API group of Calico'
        : 'there is no DaemonSet calico-node, so no node runs Calico',
      fix: 'install Calico first, or wait until it is installed; to install the agent before it, add --for manifest or --for operator',
    };
  } else if (!choice)
    yield {
      severity: 'error',
      message: 'it is not known how Calico was installed, because DaemonSets cannot be read',
      fix: 'add --for manifest if calico-node is in kube-system, or --for operator if it is in calico-system',
    };
  if (!hasCalicoKinds && calicoNodes.length > 0)
    yield {
      severity: 'error',
      message: 'the server has no API group of Calico, so Calico keeps its data elsewhere or its CRDs are missing',
      fix: 'the agent needs the Kubernetes datastore: install Calico with it',
    };
  if (calicoNodes.some(usesEtcd))
    yield {
      severity: 'error',
      message: 'calico-node keeps its data in etcd (DATASTORE_TYPE, ETCD_ENDPOINTS), which the agent cannot read',
      fix: 'move Calico to the Kubernetes datastore first (calicoctl datastore migrate)',
    };
  if (new Set(calicoNodes.map(({ namespace }) => namespace)).size > 1)
    yield {
      severity: 'warning',
      message: `calico-node is in several namespaces: ${calicoNodes.map(({ namespace }) => namespace).join(', ')}`,
      fix: 'finish the move of Calico to the operator first, or name the installation with --for',
    };
}

function usesEtcd({ env }: CalicoNode): boolean {
  const type = env.find(({ name }) => name === 'DATASTORE_TYPE')?.value;
  // Calico's default is etcd, and its manifests for etcd set only the endpoints.
  return type === 'etcdv3' || (type === undefined && env.some(({ name }) => name === 'ETCD_ENDPOINTS'));
}

function* nodes({ nodes: { linux, other, withModule }, unread, version }: Found): Generator<Finding> {
  if (!version || unread.has('Nodes')) return;
  if (linux === 0)
    yield {
      severity: 'error',
      message: `the cluster has no Linux node${other > 0 ? `, only ${other} of other systems` : ''}`,
      fix: 'the agent runs on Linux: add such nodes first',
    };
  else if (withModule >= linux)
    yield {
      severity: 'hint',
      message: `the kernels of all ${linux} Linux nodes have WireGuard`,
      fix: 'Felix encrypts on each of them, so the agent will run on none; it is there for nodes that join later',
    };
}

function* settings(found: Found, choice: Choice | undefined): Generator<Finding> {
  const { version, operator, unread, hasCalicoKinds } = found;
  if (!version) return;
  const isUnread = unread.has('FelixConfiguration default') || !hasCalicoKinds;
  if (!isUnread && !isOn(found, 'WireguardEnabled') && !isOn(found, 'WireguardEnabledV6'))
    yield {
      severity: 'hint',
      message: 'WireGuard is off in Calico, so the agent will wait',
      fix: `to switch it on: ${ENABLE}`,
    };
  if (operator?.dataPlane === 'BPF' || isOn(found, 'BPFEnabled'))
    yield {
      severity: 'warning',
      message: 'Calico uses the eBPF data plane, with which the agent is untested',
      fix: 'try it in a test cluster first; see docs/en/calico-felix.md',
    };
  if (choice && !mayBindTokens(found))
    yield {
      severity: 'hint',
      message: `${version.text} has no tokens that name a node, so the policy own-node-only is left out`,
      fix: 'from Kubernetes 1.30 on, run this command again: each agent may then change its own Node only',
    };
  if (choice?.components.includes('host-encryption'))
    yield {
      severity: 'hint',
      message: 'Calico encrypts traffic of the hosts too, so the component host-encryption is included',
      fix: 'use this only where the nodes of the control plane do not run Calico, or leave it out with --without host-encryption',
    };
  for (const name of choice?.left ?? [])
    yield {
      severity: 'warning',
      message: `the component ${name} fits this cluster, but --without leaves it out`,
      fix: 'include it again by the same command without that option',
    };
}

function* agents({ agents }: Found, choice: Choice, ownVersion: string): Generator<Finding> {
  const namespace = namespaceOf(choice.installation);
  for (const agent of agents) {
    const { helmRelease } = agent;
    if (helmRelease !== undefined)
      yield {
        severity: 'error',
        message: `the agent in ${agent.namespace} belongs to the Helm release ${helmRelease}`,
        fix: `change it with helm upgrade ${helmRelease}, or remove the release first`,
      };
    else if (agent.namespace !== namespace)
      yield {
        severity: 'error',
        message: `an agent is installed in ${agent.namespace}, but this one would go to ${namespace}: two would run on each node`,
        fix: `remove the old one first (wgts calico uninstall), or choose its installation with --for`,
      };
    else if (agent.version !== ownVersion)
      yield {
        severity: 'hint',
        message: `the agent in ${namespace} has version ${agent.version || 'unknown'}, and this program is ${ownVersion}`,
        fix: 'the installation replaces it node by node, without interrupting the tunnels',
      };
  }
}

function* place({ version, namespaces, isOpenShift }: Found, { installation, image }: Choice): Generator<Finding> {
  const namespace = namespaceOf(installation);
  if (version && !namespaces.includes(namespace))
    yield {
      severity: 'error',
      message: `the namespace ${namespace} does not exist`,
      fix:
        installation === 'manifest'
          ? 'every cluster has it: check the kubeconfig'
          : 'the Tigera operator makes it: wait for the operator, or choose --for manifest',
    };
  if (isOpenShift && installation === 'manifest')
    yield {
      severity: 'warning',
      message: 'this is OpenShift, where pods need permissions that only --for openshift gives',
      fix: 'install Calico with the Tigera operator, then choose --for openshift',
    };
  if (!image)
    yield {
      severity: 'warning',
      message: `the image wireguard-ts names no registry, so each node must have it already`,
      fix: 'push the image to your registry, and name it with --image REGISTRY/wireguard-ts:TAG',
    };
}
