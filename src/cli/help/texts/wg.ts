/** Help of the commands that wg also has, except `set`. */
import { SHOW_FIELDS } from '../../../config/show.ts';
import type { ArgumentModel, CommandModel, Entry } from '../model.ts';
import { INTERFACE, RETRIES, WG_STATUS } from '../phrases.ts';

const FILE: ArgumentModel = {
  name: 'FILE',
  text: "A file in wg's format, which wg(8) describes. It may not contain wg-quick's settings (Address, DNS, ...); wgts strip removes them.",
  completes: 'file',
};
const HIDE: Entry = ['WG_HIDE_KEYS', 'Set to "never" to show private and preshared keys.'];
const COLOR: Entry = [
  'WG_COLOR_MODE',
  '"always", "never" or "auto". Default: colors only if the output is a terminal.',
];
const TO_FILE = 'The key goes to standard output. Redirect it into a file that only you can read: run umask 077 first.';

export const show: CommandModel = {
  name: 'show',
  summary: 'Show interfaces, peers, handshakes and traffic',
  synopsis: ['[--json] [INTERFACE | all | interfaces]', '{INTERFACE | all} FIELD'],
  description: [
    'Shows WireGuard interfaces of the kernel and of userspace programs, as wg show does. Without arguments it shows all of them. Secret keys are hidden.',
    'With FIELD it prints only that field, in the format that wg prints for scripts.',
  ],
  arguments: [
    {
      ...INTERFACE,
      also: ['all', 'interfaces'],
      text: `${INTERFACE.text} "all" means all interfaces. "interfaces" prints only their names.`,
    },
    { name: 'FIELD', text: `One of: ${SHOW_FIELDS.join(', ')}.`, completes: SHOW_FIELDS },
  ],
  options: [{ name: '--json', text: 'Print JSON, with the counters of dropped packets that wg does not show.' }],
  examples: [
    { command: 'wgts show', text: 'Show all interfaces.' },
    { command: 'wgts show wg0 latest-handshakes', text: 'When did each peer last complete a handshake (Unix time)?' },
    { command: 'wgts show all --json', text: 'Print everything for a program.' },
  ],
  exitStatus: WG_STATUS,
  environment: [HIDE, COLOR],
  seeAlso: ['wg(8)', 'wgts help showconf'],
};

export const showconf: CommandModel = {
  name: 'showconf',
  summary: 'Print the configuration of an interface',
  synopsis: ['INTERFACE'],
  description: [
    'Prints the current configuration of an interface as a file that wgts setconf reads. The output contains the private key and all preshared keys.',
  ],
  arguments: [INTERFACE],
  examples: [{ command: '(umask 077; wgts showconf wg0 > wg0.backup)', text: 'Keep a copy that only you can read.' }],
  exitStatus: WG_STATUS,
  seeAlso: ['wg(8)', 'wgts help setconf'],
};

export const setconf: CommandModel = {
  name: 'setconf',
  summary: 'Replace the configuration of an interface with a file',
  synopsis: ['INTERFACE FILE'],
  description: [
    'Replaces the configuration of an interface. Settings and peers that the file does not name are removed, which ends the sessions of those peers. wgts syncconf keeps unchanged peers running.',
  ],
  arguments: [INTERFACE, FILE],
  examples: [
    { command: 'wgts setconf wg0 wg0.backup', text: 'Restore what wgts showconf has written.' },
    {
      command: 'wgts strip wg0 | wgts setconf wg0 /dev/stdin',
      text: 'Use only the WireGuard settings of a wg-quick file.',
    },
  ],
  exitStatus: WG_STATUS,
  environment: [RETRIES],
  seeAlso: ['wg(8)', 'wgts help syncconf', 'wgts help strip'],
};

export const addconf: CommandModel = {
  name: 'addconf',
  summary: 'Add the settings and peers of a file to an interface',
  synopsis: ['INTERFACE FILE'],
  description: ['Applies a file on top of the current configuration. Settings that the file does not name stay.'],
  arguments: [INTERFACE, FILE],
  examples: [{ command: 'wgts addconf wg0 new-peer.conf', text: 'Add one more peer.' }],
  exitStatus: WG_STATUS,
  environment: [RETRIES],
  seeAlso: ['wg(8)', 'wgts help setconf'],
};

export const syncconf: CommandModel = {
  name: 'syncconf',
  summary: 'Make an interface match a file, without interruption',
  synopsis: ['INTERFACE FILE'],
  description: [
    'Compares the file with the interface and applies only the differences. Sessions of unchanged peers continue.',
  ],
  arguments: [INTERFACE, FILE],
  examples: [
    { command: 'wgts strip wg0 | wgts syncconf wg0 /dev/stdin', text: 'Apply an edited /etc/wireguard/wg0.conf.' },
  ],
  exitStatus: WG_STATUS,
  environment: [RETRIES],
  seeAlso: ['wg(8)', 'wgts help setconf', 'wgts help strip'],
};

export const genkey: CommandModel = {
  name: 'genkey',
  summary: 'Generate a private key',
  synopsis: [''],
  description: [`Prints a new random private key. ${TO_FILE}`],
  examples: [
    {
      command: '(umask 077; wgts genkey | tee private.key | wgts pubkey > public.key)',
      text: 'Make a key pair in two files.',
    },
  ],
  exitStatus: WG_STATUS,
  seeAlso: ['wg(8)', 'wgts help pubkey'],
};

export const genpsk: CommandModel = {
  name: 'genpsk',
  summary: 'Generate a preshared key',
  synopsis: [''],
  description: [
    `Prints a new random preshared key, which both peers may use in addition to their key pairs. ${TO_FILE}`,
  ],
  examples: [{ command: '(umask 077; wgts genpsk > preshared.key)', text: 'Make a preshared key in a file.' }],
  exitStatus: WG_STATUS,
  seeAlso: ['wg(8)', 'wgts help set'],
};

export const pubkey: CommandModel = {
  name: 'pubkey',
  summary: 'Compute the public key of a private key',
  synopsis: [''],
  description: ['Reads a private key from standard input and prints its public key.'],
  examples: [{ command: 'wgts pubkey < private.key', text: 'Print the public key, which you give to your peers.' }],
  exitStatus: WG_STATUS,
  seeAlso: ['wg(8)', 'wgts help genkey'],
};
