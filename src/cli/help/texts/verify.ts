/** Help of `wgts verify`. */
import type { CommandModel } from '../model.ts';
import { CLUSTER_OPTIONS, KUBECONFIG } from '../phrases.ts';

export const verify: CommandModel = {
  name: 'verify',
  summary: 'Check which nodes of a Calico cluster are encrypted',
  synopsis: ['[--kubeconfig FILE | --cluster-from PATH] [--node NAME] [--all | --json]'],
  description: [
    'Reads the cluster and lists every pair of nodes, whether the traffic between them is encrypted and, if not, why. For pairs that include this machine, it also shows the last handshake. It changes nothing.',
    'In large clusters it prints a summary and the first 200 pairs that are not encrypted.',
  ],
  options: [
    ...CLUSTER_OPTIONS,
    { name: '--node', value: { name: 'NAME', completes: 'free' }, text: 'Check only the pairs of this node.' },
    { name: '--all', text: 'Print each pair, even in a large cluster.' },
    { name: '--json', text: 'Print each pair as JSON.' },
  ],
  examples: [
    { command: 'wgts verify', text: 'Check the whole cluster.' },
    { command: 'wgts verify --node worker-3 --all', text: 'List all pairs of one node.' },
    { command: "wgts verify --json | jq '.plaintextCount'", text: 'How many pairs are not encrypted?' },
  ],
  exitStatus: [
    ['0', 'All pairs are encrypted.'],
    ['1', 'At least one pair is not encrypted.'],
    ['2', 'The command line was wrong.'],
    ['3', 'The check failed: the cluster cannot be read, or it has no such node.'],
  ],
  environment: [KUBECONFIG],
  seeAlso: ['wgts-calico(8)', 'wgts(8)'],
};
