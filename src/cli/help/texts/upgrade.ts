/** Help of `wgts upgrade`. */
import type { CommandModel } from '../model.ts';
import { OWN_STATUS } from '../phrases.ts';

export const upgrade: CommandModel = {
  name: 'upgrade',
  summary: 'Move running interfaces to the installed program',
  synopsis: ['[INTERFACE]'],
  description: [
    'After a new version was installed, starts it as a new process for a running userspace interface, or for all of them. The new process takes the interface over with its sessions, and the old one ends: no packet is lost. The new process has the options that the old one was started with.',
    'An interface of `wgts up --watch` is upgraded by that process, which stays the old version until it is restarted. Interfaces of the kernel need no upgrade. A process in the foreground belongs to a supervisor, which would take the hand-over for its end; such an interface is refused.',
  ],
  arguments: [
    {
      name: 'INTERFACE',
      text: 'The interface; without it all userspace interfaces of wireguard-ts in this network namespace.',
      completes: 'interface',
    },
  ],
  examples: [
    { command: 'wgts upgrade wg0', text: 'Move wg0 to the installed version.' },
    { command: 'wgts upgrade', text: 'Move all interfaces, for example after apt-get upgrade.' },
  ],
  exitStatus: OWN_STATUS,
  seeAlso: ['wireguard-ts(8)', 'wgts help up'],
};
