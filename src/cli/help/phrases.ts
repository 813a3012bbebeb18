/** Phrases that the help of several commands uses. */
import { BACKENDS } from '../../backend/names.ts';
import type { ArgumentModel, Entry, OptionModel } from './model.ts';

export const DONE: Entry = ['0', 'The command succeeded.'];
const FAILED: Entry = ['1', 'The command failed; the message on standard error says why.'];
export const WRONG_USAGE: Entry = ['2', 'The command line was wrong; nothing was done.'];
/** Exit statuses of the commands that wg also has. */
export const WG_STATUS: readonly Entry[] = [
  DONE,
  ['1', 'The command failed, or the command line was wrong (wg exits with 1 for both).'],
];
export const OWN_STATUS: readonly Entry[] = [DONE, FAILED, WRONG_USAGE];

export const INTERFACE: ArgumentModel = {
  name: 'INTERFACE',
  text: 'A WireGuard interface that exists, such as wg0.',
  completes: 'interface',
};

export const CONFIG: ArgumentModel = {
  name: 'CONFIG',
  text: 'An interface name, such as wg0 for /etc/wireguard/wg0.conf, or the path of a .conf file.',
  completes: 'config',
};

export const BACKEND_VALUE = { name: 'NAME', completes: BACKENDS, closed: true } as const;

/** Options that select a cluster. */
export const CLUSTER_OPTIONS: readonly OptionModel[] = [
  {
    name: '--kubeconfig',
    value: { name: 'FILE', completes: 'file' },
    text: "The file that says how to reach the API server. Default: $KUBECONFIG, then the pod's service account, then ~/.kube/config.",
  },
  {
    name: '--cluster-from',
    value: { name: 'PATH', completes: 'file' },
    text: "Read Nodes and Calico's objects from a YAML file, or from a folder of them, instead of from an API server.",
  },
];

export const NODE_OPTION: OptionModel = {
  name: '--node',
  value: { name: 'NAME', completes: 'free' },
  text: "The name of this machine's Node. Default: $NODENAME, then the host name.",
};

export const KUBECONFIG: Entry = ['KUBECONFIG', 'The kubeconfig file, if --kubeconfig is not given.'];
export const NODENAME: Entry = ['NODENAME', "The name of this machine's Node, if --node is not given."];
export const RETRIES: Entry = [
  'WG_ENDPOINT_RESOLUTION_RETRIES',
  'How often to retry a host name that cannot be resolved: a number or "infinity". Default: 15.',
];
