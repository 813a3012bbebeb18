/**
 * Kernels that damage packets when an offload is used. A program cannot notice: the call succeeds,
 * and the packets arrive damaged or not at all. So the versions are listed here, and the offload is
 * not used on them. Everything here except `runningKernel` is pure.
 *
 * Sources: CVE-2024-35884 with its ranges of versions, and github.com/tailscale/tailscale, issues
 * 11026 (6.8.4 fails, 6.8.5 does not), 19777, 21335 and 20994, and pull request 19918. The commits
 * are those of Linus Torvalds' tree.
 *
 * Two things cannot be known: whether a distribution has backported a fix, or a fault, to another
 * version (Proxmox' 7.0.14-pve has the fix of the first fault); and how the hypervisor of a virtual
 * machine treats trains that its virtio device passes on without splitting them.
 */
import { readFileSync } from 'node:fs';
import { release, version } from 'node:os';

/**
 * An offload that some kernels mangle: `gso` is UDP_SEGMENT when sending, `usoWrite` is UDP packets
 * merged for writing to the TUN.
 */
export type AvoidedOffload = 'gso' | 'usoWrite';

export interface KernelFault {
  readonly avoid: AvoidedOffload;
  /** What goes wrong, and in which versions. */
  readonly fault: string;
  /** What happens instead, and which version fixes the fault. */
  readonly remedy: string;
  /** Half-open ranges of versions, including the release candidates of the first version. */
  readonly ranges: readonly (readonly [from: Version, before: Version])[];
}

export type Version = readonly [major: number, minor: number, patch: number];

export const KERNEL_FAULTS: readonly KernelFault[] = [
  {
    avoid: 'gso',
    // since b10b446 (7.0-rc1); fixed by 78effd8 and 5f17ae0 (7.1-rc5), for all drivers in 7.1.5
    fault: 'Linux 7.0 to 7.1.4 damages UDP_SEGMENT trains whose last segment is full',
    remedy: 'datagrams are sent singly, which takes more CPU; Linux 7.1.5 has the fix',
    ranges: [
      [
        [7, 0, 0],
        [7, 1, 5],
      ],
    ],
  },
  {
    avoid: 'usoWrite',
    // USO at a TUN came with 6.2; fixed by 3d010c8031e3 (6.9-rc2)
    fault: 'Linux 6.2 to 6.6.25 and 6.7 to 6.8.4 hands merged UDP packets to vxlan and geneve sockets whole',
    remedy: 'UDP packets are written to the TUN singly, which takes more CPU; Linux 6.6.26 and 6.8.5 have the fix',
    ranges: [
      [
        [6, 2, 0],
        [6, 6, 26],
      ],
      [
        [6, 7, 0],
        [6, 8, 5],
      ],
    ],
  },
];

/** The kernel's own names for its version. `upstreamVersion` parses them. */
export interface KernelNames {
  /** uname -r */
  readonly release: string;
  /** uname -v, which in Debian contains the version: `#1 SMP Debian 6.1.99-1 (2024-07-15)`. */
  readonly version?: string;
  /** /proc/version_signature, which in Ubuntu contains it: `Ubuntu 6.8.0-51.52-generic 6.8.12`. */
  readonly signature?: string;
}

export function runningKernel(): KernelNames {
  let signature = '';
  try {
    signature = readFileSync('/proc/version_signature', 'utf8').trim();
  } catch {
    // only Ubuntu kernels have this file
  }
  return { release: release(), version: version(), signature };
}

/**
 * Returns the kernel.org version of a kernel, without a distribution's suffix. Prefers a more exact
 * version that the distribution states elsewhere: 6.1.0-23-amd64 is 6.1.99.
 * @returns undefined if there is no version
 */
export function upstreamVersion({ release, version = '', signature = '' }: KernelNames): Version | undefined {
  const named = parseVersion(release);
  if (!named) return undefined;
  const said = parseVersion(/^Ubuntu \S+ (\S+)$/.exec(signature)?.[1] ?? /\bDebian (\S+)/.exec(version)?.[1] ?? '');
  return said && said[0] === named[0] && said[1] === named[1] ? said : named;
}

/** Returns the faults of a kernel, in the order of the table. */
export function knownFaults(names: KernelNames): KernelFault[] {
  const kernel = upstreamVersion(names);
  if (!kernel) return [];
  return KERNEL_FAULTS.filter(({ ranges }) =>
    ranges.some(([from, before]) => compare(from, kernel) <= 0 && compare(kernel, before) < 0),
  );
}

/**
 * Parses up to three leading numbers. A missing number is 0. The rest is ignored: it is a
 * distribution's suffix or a release candidate.
 */
function parseVersion(text: string): Version | undefined {
  const found = /^([0-9]{1,5})\.([0-9]{1,5})(?:\.([0-9]{1,5}))?/.exec(text);
  return found ? [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)] : undefined;
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
