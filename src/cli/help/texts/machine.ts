/** Help of the commands about this machine and this program: `doctor`, `completion`, `help`. */
import type { CommandModel } from '../model.ts';
import { CLUSTER_OPTIONS, KUBECONFIG, NODE_OPTION, NODENAME, OWN_STATUS, WRONG_USAGE } from '../phrases.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export const doctor: CommandModel = {
  name: 'doctor',
  summary: 'Check this machine, and advise what would help',
  synopsis: ['[--json]', '--label [--node NAME] [--kubeconfig FILE | --cluster-from PATH] [--once]'],
  description: [
    'Reports what this machine offers a tunnel (the kernel, the addon, cryptography, offloads, buffers), which backend is used, and how to make it faster. Run it as root for a complete report.',
    "With --label, it sets a label on this machine's Node instead: wireguard-ts.io/kernel-module is present if the kernel has WireGuard, and absent if not. Deployments select nodes by this label.",
  ],
  options: [
    { name: '--json', text: 'Print the report as JSON.' },
    { name: '--label', text: "Label this machine's Node, instead of reporting." },
    NODE_OPTION,
    ...CLUSTER_OPTIONS,
    { name: '--once', text: 'With --label: fail if the API server cannot be reached, instead of retrying.' },
  ],
  examples: [
    { command: 'wgts doctor', text: 'Check this machine.' },
    { command: 'wgts doctor --label --node worker-3', text: 'Label a Node.' },
  ],
  exitStatus: [
    ['0', 'This machine can run a tunnel, or the label is set.'],
    ['1', 'This machine cannot run a tunnel; the report says what to do. Or the label could not be set.'],
    WRONG_USAGE,
  ],
  environment: [NODENAME, KUBECONFIG],
  seeAlso: ['wireguard-ts(8)', 'wgts-calico(8)'],
};

export const completion: CommandModel = {
  name: 'completion',
  summary: 'Print the completion script for a shell',
  synopsis: [SHELLS.join(' | ')],
  description: [
    'Prints a script with which the Tab key completes commands, options, interfaces, peers and files. Packages install it; otherwise load it as the examples show.',
  ],
  arguments: [{ name: 'SHELL', text: `One of: ${SHELLS.join(', ')}.`, completes: SHELLS }],
  examples: [
    { command: 'source <(wgts completion bash)', text: 'bash: in ~/.bashrc.' },
    { command: 'source <(wgts completion zsh)', text: 'zsh: in ~/.zshrc, after compinit.' },
    { command: 'wgts completion fish | source', text: 'fish: in ~/.config/fish/config.fish.' },
  ],
  exitStatus: OWN_STATUS,
  seeAlso: ['wgts help'],
};

export const help: CommandModel = {
  name: 'help',
  summary: 'Show the help of a command',
  synopsis: ['[COMMAND]'],
  description: ['Shows the help of a command, as COMMAND --help does. Without COMMAND it lists all commands.'],
  arguments: [{ name: 'COMMAND', text: 'One of the commands that wgts --help lists.', completes: 'command' }],
  examples: [
    { command: 'wgts help up', text: 'Show the help of wgts up.' },
    { command: 'wgts help', text: 'List all commands.' },
  ],
  exitStatus: OWN_STATUS,
};
