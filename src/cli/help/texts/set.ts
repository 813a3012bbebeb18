/** Help of `wgts set`. */
import type { CommandModel, OptionModel } from '../model.ts';
import { INTERFACE, RETRIES, WG_STATUS } from '../phrases.ts';

/** Settings that are written before the first peer. */
export const DEVICE_WORDS: readonly OptionModel[] = [
  {
    name: 'listen-port',
    value: { name: 'PORT', completes: 'free' },
    text: 'The UDP port, 0 to 65535. 0 lets the system choose.',
  },
  {
    name: 'fwmark',
    value: { name: 'MARK', completes: ['off'] },
    text: 'The mark of encrypted packets for routing and firewalls: a decimal number, a hexadecimal one with 0x, or off.',
  },
  {
    name: 'private-key',
    value: { name: 'FILE', completes: 'file' },
    text: 'A file with the private key. /dev/stdin reads standard input; an empty file removes the key.',
  },
  {
    name: 'peer',
    value: { name: 'KEY', completes: 'peer' },
    text: 'The public key of a peer. It is added if it does not exist. The settings after it are about this peer.',
  },
];

/** Settings that belong to the peer before them. */
export const PEER_WORDS: readonly OptionModel[] = [
  { name: 'remove', text: 'Remove the peer.' },
  {
    name: 'preshared-key',
    value: { name: 'FILE', completes: 'file' },
    text: 'A file with the preshared key. An empty file removes the key.',
  },
  {
    name: 'endpoint',
    value: { name: 'ADDRESS:PORT', completes: 'free' },
    text: 'Where the peer is reached: 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.com:51820.',
  },
  {
    name: 'persistent-keepalive',
    value: { name: 'SECONDS', completes: ['off', '25'] },
    text: 'Send an empty packet this often, 1 to 65535 seconds, or off. 25 keeps a NAT mapping open.',
  },
  {
    name: 'allowed-ips',
    value: { name: 'LIST', completes: 'free' },
    text: 'The addresses of the peer, separated by commas: 10.0.0.2/32,fd00::2/128. The list replaces the old one. +10.0.0.3/32 adds an address and -10.0.0.3/32 removes one.',
  },
];

export const set: CommandModel = {
  name: 'set',
  summary: 'Change settings of an interface; add or remove peers',
  synopsis: ['INTERFACE [SETTING VALUE]... [peer KEY [remove] [SETTING VALUE]...]...'],
  description: [
    'Changes settings of an interface, with the same arguments as wg set. Settings of the interface come first, then each peer with its settings. All changes are applied together; if one is wrong, nothing changes.',
  ],
  arguments: [INTERFACE],
  words: [...DEVICE_WORDS, ...PEER_WORDS],
  examples: [
    {
      command: 'wgts set wg0 listen-port 51820 private-key /etc/wireguard/private.key',
      text: 'Set the port and the private key.',
    },
    {
      command: 'wgts set wg0 peer KEY allowed-ips 10.0.0.2/32 endpoint 192.0.2.1:51820',
      text: 'Add a peer; KEY is its public key.',
    },
    { command: 'wgts set wg0 peer KEY remove', text: 'Remove it again.' },
  ],
  exitStatus: WG_STATUS,
  environment: [RETRIES],
  seeAlso: ['wg(8)', 'wgts help show'],
};
