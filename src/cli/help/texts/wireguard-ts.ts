/** Help of the program `wireguard-ts`. */
import { OFFLOAD_SWITCHES, type OffloadSwitch } from '../../../daemon/offload-switches.ts';
import type { CommandModel, OptionModel } from '../model.ts';
import { BACKEND_VALUE, DONE } from '../phrases.ts';

export const AEADS = ['ipsec-mb', 'openssl-parts', 'openssl'] as const;

const WITHOUT: Readonly<Record<OffloadSwitch, string>> = {
  tso: 'Do not use TCP super-packets at the TUN device.',
  uso: 'Do not use UDP super-packets at the TUN device.',
  udptnl: 'Do not use super-packets in UDP tunnels (VXLAN, Geneve) at the TUN device.',
  gso: 'Do not send many datagrams with one call (UDP_SEGMENT).',
  gro: 'Do not receive many datagrams with one call (UDP_GRO).',
  steer: 'Do not use separate sockets for handshakes.',
};
const OFFLOAD_OPTIONS = OFFLOAD_SWITCHES.map((name): OptionModel => ({ name: `--no-${name}`, text: WITHOUT[name] }));

export const wireguardTs: CommandModel = {
  name: 'wireguard-ts',
  summary: 'Userspace WireGuard for Linux, a drop-in for wireguard-go',
  synopsis: ['[-f | --foreground] [OPTION]... INTERFACE', '--version [--verbose]'],
  description: [
    'Creates the WireGuard interface INTERFACE and runs it in userspace, in the background unless -f is given. Arguments, environment and control socket follow wireguard-go, so that wg-quick can start it. Configure the interface with wg(8) or wgts(8). It runs until SIGTERM or SIGINT, or until the interface is deleted.',
  ],
  arguments: [
    {
      name: 'INTERFACE',
      text: 'The name of the new interface: 1 to 15 bytes without slash, colon or space.',
      completes: 'free',
    },
  ],
  options: [
    { name: '--foreground', short: '-f', text: 'Stay in the foreground.' },
    {
      name: '--backend',
      value: BACKEND_VALUE,
      text: "The implementation that runs the tunnel. userspace (default): native if the addon loads, else pure. native: the addon. pure: TypeScript alone, which is slow. kernel: create an interface of the kernel's WireGuard, which needs no process; with -f it is deleted at the end. auto: kernel if possible, else userspace.",
    },
    {
      name: '--persist',
      text: 'Keep the interface if the process is killed, with its addresses and routes: nothing leaves in the clear, and the next start with the same name adopts the interface. SIGTERM and SIGINT delete it as ever. A TUN that another program made is not changed.',
    },
    {
      name: '--take-over',
      text: 'Take the running INTERFACE over from its wireguard-ts process, which then ends: link, addresses, sessions and packets stay. Both programs must run in the same network namespace.',
    },
    { name: '--no-offload', text: 'Use no offloads at all, as if all of the following options were given.' },
    ...OFFLOAD_OPTIONS,
    {
      name: '--aead',
      value: { name: 'NAME', completes: AEADS, closed: true },
      text: `The implementation of ChaCha20-Poly1305: ${AEADS.join(', ')}. Default: the fastest one here.`,
    },
    {
      name: '--threads',
      value: { name: 'N', completes: 'free' },
      text: 'How many threads may share the work, from 1 to 64, or auto: one per processor that the process may use and its cgroup grants, at most 8. The others work only while traffic fills one core and another core is idle. Default: auto.',
    },
    {
      name: '--no-sandbox',
      text: 'Keep all rights while the interface runs. By default the process gives up every capability but CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, and lets the kernel refuse system calls that it does not need.',
    },
  ],
  examples: [
    { command: 'wireguard-ts wg0', text: 'Create wg0 and run it in the background.' },
    { command: 'LOG_LEVEL=verbose wireguard-ts -f wg0', text: 'Run it in the foreground with a log.' },
    { command: 'wireguard-ts --take-over wg0', text: 'Upgrade: a new process takes wg0 over without a lost packet.' },
    {
      command: 'WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-ts wg-quick up wg0',
      text: 'Let wg-quick use it where the kernel has no WireGuard.',
    },
  ],
  exitStatus: [
    [DONE[0], 'The interface is ready (in the background), or was stopped cleanly (-f).'],
    ['3', 'With --take-over: no process answers for a hand-over, so the interface can be started or adopted.'],
    ['4', 'With --take-over: refused or failed; the old process still runs the interface.'],
    ['1', 'The interface could not be created, or the command line was wrong (wireguard-go exits with 1 for both).'],
  ],
  environment: [
    ['LOG_LEVEL', 'verbose, error or silent. Default: error.'],
    ['WG_PROCESS_FOREGROUND', '"1" means --foreground.'],
    ['WGTS_PERSIST', '"1" means --persist.'],
    ['WG_TUN_FD', 'The number of an open TUN descriptor to use.'],
    ['WG_UAPI_FD', 'The number of a listening control socket to use.'],
    ['WG_KEYLOGFILE', 'Write all session keys to this file, for Wireshark. With them anyone can decrypt the traffic.'],
    ['WGTS_BACKEND', 'The backend, if --backend is not given.'],
    ['WGTS_AEAD', 'The AEAD implementation, if --aead is not given.'],
    ['WGTS_THREADS', 'The threads, if --threads is not given.'],
    [
      'WGTS_NO_OFFLOAD',
      '"1" means --no-offload. A list such as "uso,gro" switches these offloads off. "none" also uses the offloads that are faulty in this kernel (wgts doctor names them).',
    ],
    [
      'WGTS_SANDBOX',
      '"off" means --no-sandbox. "netns" also keeps CAP_SYS_ADMIN, to follow an interface that is moved to another network namespace. Default: "on".',
    ],
  ],
  files: [
    ['/var/run/wireguard/INTERFACE.sock', 'The control socket, which wg and wgts use.'],
    ['/var/run/wireguard/handover/INTERFACE', 'The socket by which another process takes the interface over.'],
  ],
  seeAlso: ['wg(8)', 'wg-quick(8)', 'wgts(8)'],
};
