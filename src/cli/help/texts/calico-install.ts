/** Help of `wgts calico install` and `wgts calico uninstall`. */
import { COMPONENTS, INSTALLATION_NAMES } from '../../../calico/install/render/manifests.ts';
import type { CommandModel, OptionModel } from '../model.ts';
import { CLUSTER_OPTIONS, KUBECONFIG, WRONG_USAGE } from '../phrases.ts';

const KUBECONFIG_OPTION: OptionModel = CLUSTER_OPTIONS[0]!;

export const calicoInstall: CommandModel = {
  name: 'calico install',
  summary: 'Install the agent in the Calico cluster that it finds',
  synopsis: ['[--apply | --dry-run | --diff] [OPTION]...'],
  description: [
    'Looks at the cluster, chooses the installation and the components that fit it, and checks what is missing. What it found, and what is wrong and how to fix it, goes to standard error. By default, the objects go to standard output as YAML, and nothing changes. The objects are those of the folder deploy/; neither kubectl nor kustomize is needed.',
    '--apply uses server-side apply. Applying again changes nothing, and applying a newer version is an upgrade, also of what kubectl apply -k installed. An error in the check, such as a cluster without Calico, stops the command.',
  ],
  options: [
    { name: '--apply', text: 'Install, or upgrade.' },
    { name: '--dry-run', text: 'Let the server check each object as with --apply, without storing it.' },
    { name: '--diff', text: 'Print what --apply would change in the cluster.' },
    {
      name: '--image',
      value: { name: 'NAME', completes: 'free' },
      text: 'The image of the agent, such as registry.example/wireguard-ts:0.2.0.',
    },
    {
      name: '--for',
      value: { name: 'KIND', completes: INSTALLATION_NAMES, closed: true },
      text: 'The installation, instead of the one that fits: manifest (Calico in kube-system), operator (in calico-system), or one of the platforms with the operator.',
    },
    {
      name: '--with',
      value: { name: 'LIST', completes: COMPONENTS },
      text: `Components besides those that fit, separated by commas: ${COMPONENTS.join(', ')}.`,
    },
    {
      name: '--without',
      value: { name: 'LIST', completes: COMPONENTS },
      text: 'Components to leave out although they fit. If they were installed before, --apply removes them.',
    },
    {
      name: '--offline',
      text: 'Print the objects without looking at a cluster. Needs --for.',
    },
    KUBECONFIG_OPTION,
  ],
  examples: [
    {
      command: 'wgts calico install --image registry.example/wireguard-ts:0.2.0 --diff',
      text: 'Show what would change.',
    },
    {
      command: 'wgts calico install --image registry.example/wireguard-ts:0.2.0 --apply',
      text: 'Install or upgrade.',
    },
    {
      command: 'wgts calico install --offline --for operator --with fail-closed,metrics',
      text: 'Print the objects for a repository, without a cluster.',
    },
  ],
  exitStatus: [
    ['0', 'The command succeeded. With --diff: nothing would change.'],
    ['1', 'The check found an error, or the command failed. With --diff: something would change.'],
    WRONG_USAGE,
    ['3', 'With --diff: the check found an error, or the comparison failed.'],
  ],
  environment: [KUBECONFIG],
  seeAlso: ['wgts-calico(8)', 'wgts-calico-uninstall(8)', 'wgts-verify(8)', 'docs/en/calico.md'],
};

export const calicoUninstall: CommandModel = {
  name: 'calico uninstall',
  summary: 'Remove the agent from all nodes and from the cluster',
  synopsis: ['[--apply] [OPTION]...'],
  description: [
    'Removes what wgts calico install, kubectl apply -k or Helm installed, in an order that leaves no node behind. By default it prints the plan, and nothing changes.',
    'First, all agents withdraw their keys and then remove their tunnels. Next, each node removes what is left (wgts calico --withdraw in an init container). Only when all nodes are done, the objects are deleted: DaemonSets, the label on the Nodes, and permissions. Traffic between the nodes continues, unencrypted. The private keys stay in /var/lib/wireguard-ts on the nodes.',
  ],
  options: [
    { name: '--apply', text: 'Remove it.' },
    {
      name: '--timeout',
      value: { name: 'SECONDS', completes: 'free' },
      text: 'How long to wait for the nodes, for each of the two steps. Default: 600.',
    },
    {
      name: '--force',
      text: 'Continue if some nodes are not done in time, such as nodes that are gone for good: remove their keys from their Nodes, and delete everything.',
    },
    KUBECONFIG_OPTION,
  ],
  examples: [
    { command: 'wgts calico uninstall', text: 'Show what would be removed.' },
    { command: 'wgts calico uninstall --apply', text: 'Remove it.' },
  ],
  exitStatus: [
    ['0', 'The command succeeded.'],
    ['1', 'Some nodes were not done in time, or the command failed. Nothing that the agents need was deleted.'],
    WRONG_USAGE,
  ],
  environment: [KUBECONFIG],
  seeAlso: ['wgts-calico(8)', 'wgts-calico-install(8)', 'docs/en/calico.md'],
};
