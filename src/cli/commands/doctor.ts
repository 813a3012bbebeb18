/**
 * `wgts doctor`: reports what this machine offers a tunnel, what is in use, and what would make the
 * tunnel faster.
 */

import { type Taken, wouldTake } from '../../backend/choose.ts';
import { orphanText } from '../../backend/orphan.ts';
import { type Capabilities, capabilities, type Known } from '../../daemon/capabilities.ts';
import { type KernelFault, knownFaults } from '../../daemon/known-kernels.ts';
import { threadsFor } from '../../daemon/processors.ts';
import { UapiClient } from '../../daemon/uapi-client.ts';
import { findLeftovers, type Leftovers } from '../../host/leftovers.ts';
import { systemNetlink } from '../../io/netlink.ts';
import { describeRights } from '../../io/process-rights.ts';
import type { RunningDevice } from '../../io/running-devices.ts';
import { systemZones } from '../../io/zones.ts';
import * as texts from '../help/texts/machine.ts';
import { wrap } from '../help/wrap.ts';
import { parseOptions } from '../parse-options.ts';
import { type Command, UsageError } from '../terminal.ts';

/** Size in bytes of a packet in the short benchmark of the AEAD providers (native/aead.c). */
const PACKET = 1424;
const OFFLOADS = { tun: ['csum', 'tso4', 'tso6', 'uso', 'udptnl'], udp: ['gso', 'gro', 'steer'] } as const;
const AVOIDED = { gso: 'not used: gso', usoWrite: 'not used: uso, written' } as const;
/** With a smaller buffer, bursts from a fast sender are lost while this program is busy. */
const GOOD_BUFFER = 1 << 20;

export interface Findings extends Capabilities {
  /**
   * The backend that --backend=auto chooses on this machine, and the reason. If the process has the
   * necessary rights, the check creates an interface for a moment.
   */
  readonly backend: Pick<Taken, 'kind' | 'reason'>;
  /** What processes that died left in this network namespace. */
  readonly leftovers: Leftovers;
  readonly running: readonly Running[];
}

/** A device, and how many threads share its work: at most and now, if it could be asked. */
type Running = RunningDevice & { readonly threads?: { readonly most: number; readonly now: number } };

export async function findings(): Promise<Findings> {
  const found = capabilities();
  return {
    ...found,
    running: await Promise.all(found.running.map(withThreads)),
    backend: await wouldTake(systemNetlink, `wgts-${process.pid}`),
    leftovers: await findLeftovers(systemNetlink),
  };
}

export const doctor: Command = async (args, terminal) => {
  const { values } = parseOptions(texts.doctor, args);
  const { label, json, ...cluster } = values;
  if (label) {
    if (json) throw new UsageError('--json is for the report: leave it out, or leave --label out');
    const { labelNode } = await import('./label-node.ts');
    return labelNode(cluster, terminal);
  }
  const [useless] = Object.keys(cluster);
  if (useless !== undefined) throw new UsageError(`option --${useless} needs --label, which labels a Node`);
  const found = await findings();
  if (json) terminal.out(`${JSON.stringify({ ...found, advice: advice(found) }, null, 2)}\n`);
  else terminal.out(report(found));
  // Exits with 0 if this machine can carry a tunnel, at any speed.
  return found.addonProblem === '' && (found.tunDevice || found.backend.kind === 'kernel') ? 0 : 1;
};

async function withThreads(device: RunningDevice): Promise<Running> {
  const counters = await new UapiClient(device.name, systemZones).counters().catch(() => undefined);
  const [most, now] = [counters?.['threads.most'], counters?.['threads.now']];
  return most === undefined || now === undefined ? device : { ...device, threads: { most, now } };
}

function describeThreads(available: number): string {
  const threads = threadsFor(undefined, available);
  const of = `${Number(available.toFixed(2))} processor${available === 1 ? '' : 's'}`;
  return threads === 1 ? `one, with ${of}` : `up to ${threads} under load, with ${of}`;
}

/** Formats the report for people. */
export function report(found: Findings): string {
  const chosen = fastest(found);
  const lines: [string, string][] = [
    ['node', `${found.node}, OpenSSL ${found.openssl}`],
    ['kernel', `${found.kernel}, ${hasWireguard(found) ? 'has' : 'lacks'} its own WireGuard`],
    ['backend', `auto takes ${found.backend.kind}: ${found.backend.reason}`],
    ['/dev/net/tun', found.tunDevice ? 'is there' : 'is missing'],
    ['addon', found.addonProblem || 'is built and loads'],
    ...found.aead
      .filter(isForHere)
      .map((provider): [string, string] => [
        `AEAD ${provider.name}`,
        provider.nanoseconds === undefined
          ? `not used: ${provider.problem}`
          : `${Math.round(provider.nanoseconds)} ns a packet, ${((PACKET * 8) / provider.nanoseconds).toFixed(1)} Gbit/s on one core${provider === chosen ? '; in use' : ''}`,
      ]),
    ['threads', describeThreads(found.processors)],
    ['TUN offloads', offloads(found.tunOffloads, OFFLOADS.tun)],
    ['UDP offloads', offloads(found.udpOffloads, OFFLOADS.udp)],
    ...faults(found).map(({ avoid, fault, remedy }): [string, string] => [AVOIDED[avoid], `${fault}: ${remedy}`]),
    [
      'system calls',
      found.filtersCalls ? 'can be filtered (seccomp)' : 'cannot be filtered: the kernel has no seccomp',
    ],
    ...found.running.map(({ name, pid, rights, threads }): [string, string] => [
      name,
      `process ${pid}: ${threads ? `${threads.now} of at most ${threads.most} threads at work; ` : ''}${describeRights(rights)}`,
    ]),
    ['UDP buffers', found.root ? '7 MiB, as root' : `${found.largestBuffer >> 10} KiB at most (net.core.rmem_max)`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  const hints = advice(found);
  return [
    ...lines.map(([label, text]) => paragraph(text, label.padEnd(width), ' '.repeat(width))),
    hints.length > 0
      ? `\nTo do:\n${hints.map(hint => paragraph(hint, '- ', '  ')).join('')}`
      : '\nNothing to do: this machine has everything.\n',
  ].join('');
}

/** Returns hints on what to do, most important first. */
export function advice(found: Findings): string[] {
  const hints: string[] = [];
  for (const name of found.leftovers.orphans) hints.push(orphanText(name));
  for (const name of found.leftovers.lost)
    hints.push(
      `wgts up made ${name}, which is gone; its rules or DNS may be left. Remove them: wgts down ${name}; or bring it up again: wgts up ${name}`,
    );
  if (!found.tunDevice) hints.push('load the tun module (modprobe tun), or give the container --device /dev/net/tun');
  if (found.addonProblem !== '') hints.push(found.addonProblem);
  if (found.backend.kind === 'kernel')
    hints.push('the kernel has WireGuard, which is even faster: --backend=auto uses it');
  else if (found.kernelModule && found.root)
    hints.push(`the kernel has WireGuard, but it cannot be used (${found.backend.reason}): modprobe wireguard`);
  const mb = found.aead.filter(isForHere).find(provider => provider.name === 'ipsec-mb');
  // The kernel's own WireGuard encrypts without our addon.
  if (mb?.problem !== undefined && found.backend.kind !== 'kernel')
    hints.push(
      'install libIPSec_MB, which seals packets twice as fast: apt-get install libipsec-mb1 (or the newest libipsec-mbN)',
    );
  if (found.aead.length > 0 && !fastest(found))
    hints.push('no AEAD provider passes its self-test: the tunnel will be slow (--backend=pure). Please report this');
  if ('value' in found.tunOffloads && !found.tunOffloads.value.includes('uso'))
    hints.push('UDP super-packets at the TUN need Linux 6.2 or newer');
  if ('value' in found.tunOffloads && !found.tunOffloads.value.includes('udptnl'))
    hints.push('super-packets of VXLAN and Geneve at the TUN need Linux 6.17 or newer');
  if ('value' in found.udpOffloads && !found.udpOffloads.value.includes('gso'))
    hints.push('UDP_SEGMENT needs Linux 4.18 or newer');
  if ('value' in found.udpOffloads && !found.udpOffloads.value.includes('gro'))
    hints.push('UDP_GRO needs Linux 5.0 or newer');
  if ('value' in found.udpOffloads && !found.udpOffloads.value.includes('steer'))
    hints.push(
      'this kernel cannot give handshakes a socket of their own (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5): a flood of handshakes can delay packets',
    );
  for (const { fault } of faults(found))
    hints.push(
      `update the kernel: ${fault}. If your distribution has backported the fix to ${found.kernel}, set WGTS_NO_OFFLOAD=none`,
    );
  if (!found.root && found.largestBuffer < GOOD_BUFFER)
    hints.push('raise the limit of socket buffers: sysctl -w net.core.rmem_max=7340032 net.core.wmem_max=7340032');
  for (const { name, pid } of found.running.filter(isFree))
    hints.push(
      `restart ${name} without --no-sandbox: process ${pid} has more rights than it needs (if it was started without, \`wgts logs ${name}\` says why)`,
    );
  if (!found.root) hints.push('run this as root to see what the TUN can do');
  return hints;
}

/** Reports whether a device's process could be confined more on this machine. */
function isFree({ rights }: RunningDevice): boolean {
  return !rights.noNewPrivileges || rights.seccomp === 'none';
}

/**
 * Returns false if the provider exists only for another processor architecture. libIPSec_MB itself
 * reports an x86-64 processor that it does not support (native/aead-ipsec-mb.c).
 */
function isForHere({ problem }: Capabilities['aead'][number]): boolean {
  return problem === undefined || !/is for x86-64$/.test(problem);
}

/** Wraps a text at 80 columns. @param hang the indent of all lines except the first */
function paragraph(text: string, first: string, hang: string): string {
  const [line = '', ...more] = wrap(text, hang);
  return `${[first + line.slice(hang.length), ...more].join('\n')}\n`;
}

/** Returns the known faults of this kernel in offloads that it offers. */
function faults({ kernel, kernelVersion, kernelSignature, tunOffloads }: Findings): KernelFault[] {
  const known = knownFaults({
    release: kernel,
    ...(kernelVersion !== undefined && { version: kernelVersion }),
    ...(kernelSignature !== undefined && { signature: kernelSignature }),
  });
  const noUso = 'value' in tunOffloads && !tunOffloads.value.includes('uso');
  return known.filter(({ avoid }) => avoid !== 'usoWrite' || !noUso);
}

function hasWireguard({ kernelModule, backend }: Findings): boolean {
  return kernelModule || backend.kind === 'kernel';
}

function fastest(found: Capabilities): Capabilities['aead'][number] | undefined {
  return found.aead
    .filter(provider => provider.nanoseconds !== undefined)
    .sort((a, b) => a.nanoseconds! - b.nanoseconds!)[0];
}

function offloads(known: Known<readonly string[]>, all: readonly string[]): string {
  if ('problem' in known) return `unknown: ${known.problem}`;
  return all.map(name => (known.value.includes(name) ? name : `no ${name}`)).join(', ');
}
