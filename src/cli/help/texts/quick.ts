/** Help of `wgts up`, `down`, `reload`, `save` and `strip`. */
import type { CommandModel, Entry } from '../model.ts';
import { BACKEND_VALUE, CONFIG, OWN_STATUS, RETRIES } from '../phrases.ts';

const FILES: readonly Entry[] = [
  ['/etc/wireguard/INTERFACE.conf', 'The configuration of an interface that is given by name.'],
  ['/run/wireguard-ts', 'A record of what wgts up has set up, so that wgts down can undo it, also after a crash.'],
];

export const up: CommandModel = {
  name: 'up',
  summary: 'Bring up an interface from a wg-quick file',
  synopsis: ['[--watch] [--backend NAME] CONFIG'],
  description: [
    "Creates an interface from a file in the format of wg-quick, with its keys, peers, addresses, routes, DNS servers and hooks. It uses the kernel's WireGuard if the kernel has it, and a userspace process otherwise. It needs root, but neither wg, ip, iptables nor nft.",
    'If a step fails, the steps before it are undone.',
  ],
  arguments: [CONFIG],
  options: [
    {
      name: '--watch',
      text: 'Keep running: follow endpoints whose DNS names get new addresses, start a new process for the interface if its process dies (addresses and routes stay), read the file again on SIGHUP, and move the interface to a new process of the installed program on SIGUSR2. On SIGTERM or Ctrl-C take the interface down and exit.',
    },
    {
      name: '--backend',
      value: BACKEND_VALUE,
      text: 'The implementation that runs the tunnel. auto (default): the kernel if it has WireGuard, else userspace. kernel: only the kernel. userspace: native if the addon loads, else pure. native: userspace with the addon. pure: userspace in TypeScript alone, which is slow.',
    },
  ],
  examples: [
    { command: 'wgts up wg0', text: 'Bring up /etc/wireguard/wg0.conf.' },
    { command: 'wgts up ./office.conf', text: 'Bring up interface "office" from a file in this folder.' },
    {
      command: 'wgts up --watch wg0',
      text: 'Bring the interface up and keep it running, as systemd/wgts@.service does.',
    },
  ],
  exitStatus: OWN_STATUS,
  environment: [
    ['WGTS_BACKEND', 'The backend, if --backend is not given.'],
    ['WGTS_WATCH_INTERVAL', 'Seconds between two look-ups of DNS names with --watch. Default: 30.'],
    ['LOG_LEVEL', 'What a userspace process logs: verbose, error or silent. Default: error.'],
    RETRIES,
  ],
  files: FILES,
  seeAlso: ['wg-quick(8)', 'wireguard-ts(8)', 'wgts help down'],
};

export const down: CommandModel = {
  name: 'down',
  summary: 'Take an interface down and undo what up has set up',
  synopsis: ['CONFIG'],
  description: [
    'Runs the PreDown and PostDown hooks and removes the interface with its routes, rules, firewall tables and DNS servers. It also cleans up after a crash, and works if the file is gone.',
  ],
  arguments: [CONFIG],
  examples: [{ command: 'wgts down wg0', text: 'Take wg0 down.' }],
  exitStatus: OWN_STATUS,
  files: FILES,
  seeAlso: ['wg-quick(8)', 'wgts help up'],
};

export const reload: CommandModel = {
  name: 'reload',
  summary: 'Apply an edited file to an interface that is up',
  synopsis: ['[--dry-run] CONFIG'],
  description: [
    'Prints what differs between the file and the interface that wgts up made, one line for each difference, and changes only these: keys, peers, port, mark, addresses, MTU, DNS, routes and rules. Sessions of unchanged peers continue, and peers added with wgts set or by a hook stay. A second reload changes nothing.',
    'Hooks do not run. The next wgts down and wgts up use the hooks of the new file. A peer whose Endpoint is unchanged in the file keeps its current endpoint, because the peer may have roamed. If a step fails, the steps before it stay applied, the message names the failed step, and the next reload continues from there.',
  ],
  arguments: [CONFIG],
  options: [{ name: '--dry-run', text: 'Print the differences, and change nothing.' }],
  examples: [
    { command: 'wgts reload --dry-run wg0', text: 'Show what differs from /etc/wireguard/wg0.conf.' },
    { command: 'wgts reload wg0', text: 'Apply the differences.' },
  ],
  exitStatus: OWN_STATUS,
  files: FILES,
  seeAlso: ['wgts help up', 'wgts help syncconf'],
};

export const save: CommandModel = {
  name: 'save',
  summary: 'Write the current state of an interface into its file',
  synopsis: ['CONFIG'],
  description: [
    'Replaces the configuration file with the current state of the interface: its addresses, DNS servers, MTU, keys and peers. Hooks and other wg-quick settings of the file stay.',
  ],
  arguments: [CONFIG],
  examples: [{ command: 'wgts save wg0', text: 'Keep peers that wgts set has added.' }],
  exitStatus: OWN_STATUS,
  files: FILES,
  seeAlso: ['wg-quick(8)', 'wgts help up'],
};

export const strip: CommandModel = {
  name: 'strip',
  summary: "Print a wg-quick file without wg-quick's own settings",
  synopsis: ['CONFIG'],
  description: [
    'Prints the part of a wg-quick file that wgts setconf and wgts syncconf accept. The output contains the private key.',
  ],
  arguments: [CONFIG],
  examples: [
    { command: 'wgts strip wg0 | wgts syncconf wg0 /dev/stdin', text: 'Apply an edited file without interruption.' },
  ],
  exitStatus: OWN_STATUS,
  files: [FILES[0]!],
  seeAlso: ['wg-quick(8)', 'wgts help syncconf'],
};
