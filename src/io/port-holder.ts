/**
 * Finds the program that holds a UDP port: /proc/net/udp names the socket, /proc/PID/fd its owner.
 * Only root sees the sockets of other users' processes. Sockets of other PID namespaces are
 * invisible.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

interface BoundSocket {
  readonly family: 'IPv4' | 'IPv6';
  readonly uid: number;
  /** Inode 0 means a socket of the kernel itself. */
  readonly inode: string;
}

const TABLES = { IPv4: '/proc/net/udp', IPv6: '/proc/net/udp6' } as const;
const NAME_MAX = 40;

/**
 * Returns a text such as `process 123 (dnsmasq) for IPv4 and IPv6`, or as much of it as this user
 * may see; undefined if no socket has the port.
 */
export function portHolder(port: number): string | undefined {
  const sockets = [...boundTo(port, 'IPv4'), ...boundTo(port, 'IPv6')];
  const [first] = sockets;
  if (!first) return undefined;
  const same = sockets.filter(({ inode }) => inode !== '0');
  const families = [...new Set(sockets.map(({ family }) => family))].join(' and ');
  if (same.length === 0)
    return `the kernel itself, for a WireGuard, VXLAN or other tunnel interface (${families}; \`wgts show all listen-port' shows those of WireGuard)`;
  const pid = ownerOf(new Set(same.map(({ inode }) => inode)));
  if (pid !== undefined) return `process ${pid} (${describeProcess(pid)}) for ${families}`;
  return `a process of user ${same[0]!.uid} that cannot be seen from here, for ${families} (\`ss -ulpn' as root shows it)`;
}

function boundTo(port: number, family: 'IPv4' | 'IPv6'): BoundSocket[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return linesOf(TABLES[family]).flatMap(line => {
    const [, local, , , , , , uid, , inode] = line.trim().split(/\s+/);
    return local?.endsWith(suffix) && inode !== undefined ? [{ family, uid: Number(uid), inode }] : [];
  });
}

function ownerOf(inodes: ReadonlySet<string>): string | undefined {
  return namesIn('/proc')
    .filter(name => /^[0-9]+$/.test(name))
    .find(pid =>
      namesIn(`/proc/${pid}/fd`).some(fd => {
        const inode = /^socket:\[([0-9]+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode !== undefined && inodes.has(inode);
      }),
    );
}

/**
 * Returns the program's name without its arguments, which may be secrets; for a WireGuard program
 * also the name of the interface.
 */
function describeProcess(pid: string): string {
  const words = textOf(`/proc/${pid}/cmdline`).split('\0');
  const names = words.map(word => word.slice(word.lastIndexOf('/') + 1).replace(/\.c?js$/, ''));
  const at = names.findIndex(name => /^(wireguard-(ts|go)|boringtun(-cli)?)$/.test(name));
  // the last argument is followed by a NUL
  const text = at >= 0 ? [names[at], words.at(-2)].join(' ') : textOf(`/proc/${pid}/comm`).trim() || 'unknown';
  return text.replace(/[^ -~]/g, '?').slice(0, NAME_MAX);
}

function linesOf(path: string): string[] {
  return textOf(path).split('\n').slice(1);
}

/**
 * Returns an empty text if the file cannot be read: processes end, and most belong to other users.
 */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
