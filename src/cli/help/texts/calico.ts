/** Help of `wgts calico`. */
import { DEFAULT_OPTIONS } from '../../../calico/plan/config/options.ts';
import type { CommandModel } from '../model.ts';
import { BACKEND_VALUE, CLUSTER_OPTIONS, KUBECONFIG, NODE_OPTION, NODENAME, OWN_STATUS } from '../phrases.ts';

const { interfaceNames, table, mark } = DEFAULT_OPTIONS;
const NUMBER = { name: 'NUMBER', completes: 'free' } as const;
const NAME = { name: 'NAME', completes: 'free' } as const;

export const calico: CommandModel = {
  name: 'calico',
  summary: "Join this node to a Calico cluster's WireGuard mesh",
  synopsis: ['[OPTION]...'],
  description: [
    "Runs the agent that makes this node a member of a Calico cluster's WireGuard, as Felix does on nodes whose kernel has WireGuard. It publishes this node's public key, and configures the interface, its peers, routes and rules, until SIGTERM or Ctrl-C ends the agent. The tunnel stays up.",
    'WireGuard must be on in Calico: set wireguardEnabled in the default FelixConfiguration. Nodes whose kernel has WireGuard are left to Felix unless --take-over is given.',
  ],
  options: [
    NODE_OPTION,
    ...CLUSTER_OPTIONS,
    {
      name: '--backend',
      value: BACKEND_VALUE,
      text: 'The implementation that runs the tunnel. Default: userspace; with --take-over: auto.',
    },
    { name: '--take-over', text: 'Also run where the kernel has WireGuard, instead of leaving that node to Felix.' },
    {
      name: '--always',
      text: 'Run even if the FelixConfiguration node.NAME has wireguardEnabled: false. That setting then only switches off Felix.',
    },
    {
      name: '--fail-closed',
      text: 'Block traffic to nodes and pods that cannot be encrypted, instead of sending it in plaintext.',
    },
    {
      name: '--allocate',
      text: "Allocate the tunnel's address from Calico's IPAM, where calico-node does not do it.",
    },
    {
      name: '--use-pod-cidr',
      text: "Take the tunnel's address from the Node's podCIDR (host-local IPAM).",
    },
    {
      name: '--aks',
      text: "On AKS, lower the MTU by the overhead of Azure's virtual network if traffic of the hosts is also encrypted.",
    },
    { name: '--interface', value: NAME, text: `The IPv4 interface. Default: ${interfaceNames[4]}.` },
    { name: '--interface-v6', value: NAME, text: `The IPv6 interface. Default: ${interfaceNames[6]}.` },
    {
      name: '--table',
      value: NUMBER,
      text: `A routing table that only the agent uses. Default: ${table}.`,
    },
    { name: '--mark', value: NUMBER, text: `The mark of encrypted packets. Default: 0x${mark.toString(16)}.` },
    {
      name: '--rule-priority',
      value: NUMBER,
      text: "The priority of the routing rule. Default: Felix's wireguardRoutingRulePriority.",
    },
    {
      name: '--key-dir',
      value: { name: 'FOLDER', completes: 'folder' },
      text: 'The folder of the private keys. Default: /var/lib/wireguard-ts.',
    },
    {
      name: '--http',
      value: { name: 'HOST:PORT', completes: ['off'] },
      text: 'Serve /healthz, /readyz and /metrics here. Default: 127.0.0.1:9096. "off" serves nothing.',
    },
    { name: '--once', text: 'Exit once this node matches the cluster, or with status 1 after 60 seconds.' },
    { name: '--withdraw', text: "Remove this node's key and everything that the agent has set up, and exit." },
    {
      name: '--startup-probe',
      text: "Exit with status 0 if the agent in this container leads the node, or with 1: for the pod's startup probe.",
    },
  ],
  examples: [
    { command: 'wgts calico --node worker-3', text: 'Run the agent of node worker-3 in the foreground.' },
    {
      command: 'wgts calico --cluster-from ./cluster --node a --once',
      text: 'Configure node a once from YAML files, without an API server.',
    },
    { command: 'wgts calico --withdraw', text: 'Leave the mesh.' },
  ],
  exitStatus: [
    ['0', 'A signal stopped the agent cleanly, or --once or --withdraw succeeded.'],
    OWN_STATUS[1]!,
    OWN_STATUS[2]!,
    ['130, 143', 'Ctrl-C (130) or SIGTERM (143) ended --once before it was done.'],
  ],
  environment: [
    NODENAME,
    KUBECONFIG,
    ['USE_POD_CIDR', 'As in calico-node: "true" is --use-pod-cidr.'],
    ['WGTS_BACKEND', 'The backend, if --backend is not given.'],
    ['FELIX_...', "Felix's settings, with the priority that Felix gives them."],
  ],
  files: [['/var/lib/wireguard-ts', "This node's private keys."]],
  seeAlso: ['wgts-calico-install(8)', 'wgts-verify(8)', 'wgts(8)', 'docs/en/calico.md'],
};
