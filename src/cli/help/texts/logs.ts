/** Help of `wgts logs`. */
import type { CommandModel } from '../model.ts';
import { INTERFACE, OWN_STATUS } from '../phrases.ts';

export const logs: CommandModel = {
  name: 'logs',
  summary: 'Show what the userspace process of an interface logs',
  synopsis: ['[--follow] [--lines N] INTERFACE'],
  description: [
    'Shows the log of the process that runs an interface in userspace, also after the process has ended: when it began and ended, which operations failed, and a crash. The log never contains private or preshared keys.',
    'The log is in the journal if there is one, else in the system log, else in a file in /var/log/wireguard-ts or /run/wireguard-ts/log. Only root can read such a file. It grows to 1 MiB at most, and one older file is kept. WGTS_LOG=journal, syslog, file or none chooses another place when the process starts. A process in the foreground (wireguard-ts -f) logs to standard error only.',
  ],
  arguments: [INTERFACE],
  options: [
    { name: '--follow', short: '-f', text: 'Keep showing new lines until Ctrl-C.' },
    {
      name: '--lines',
      short: '-n',
      value: { name: 'N', completes: 'free' },
      text: 'Show the last N lines. Default: 100.',
    },
  ],
  examples: [
    { command: 'wgts logs wg0', text: 'Show the last 100 lines.' },
    { command: 'wgts logs -f -n 10 wg0', text: 'Show the last 10 lines, then new lines as they come.' },
    {
      command: 'LOG_LEVEL=verbose wgts up wg0; wgts logs -f wg0',
      text: 'Start an interface that also logs handshakes, and watch them.',
    },
  ],
  exitStatus: OWN_STATUS,
  files: [
    ['/var/log/wireguard-ts/INTERFACE.log', 'The log, if there is neither a journal nor a system log.'],
    ['/run/wireguard-ts/log/INTERFACE.log', 'The log, if /var/log cannot be written either.'],
  ],
  seeAlso: ['wireguard-ts(8)', 'wgts help up', 'journalctl(1)'],
};
