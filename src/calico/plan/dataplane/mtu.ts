/** MTU of the tunnel (docs/reference/calico-felix.md#mtu): what is configured, else the smallest of the host's links less what WireGuard adds. */
import type { Family } from '../../../base/family.ts';
import type { Problem } from '../../model/problem.ts';
import type { NamePattern } from '../config/go-regexp.ts';

/** A network interface of the host. */
export interface HostLink {
  /** The interface's name. */
  readonly name: string;
  /** MTU in bytes. */
  readonly mtu: number;
  /** Whether the interface is up; others do not count for the MTU. */
  readonly up: boolean;
}

/** What a plan must know of the host itself. */
export interface HostFacts {
  /** Every interface of the host. */
  readonly links: readonly HostLink[];
  /**
   * Whether the host is a node of Azure's AKS, whose virtual network takes 100 bytes more where
   * hosts are encrypted.
   */
  readonly aks: boolean;
}

export interface MtuInput {
  readonly family: Family;
  /** 0: to be found. */
  readonly configured: number;
  readonly pattern: NamePattern;
  readonly hostEncryption: boolean;
  readonly facts: HostFacts;
  /** Tunnels, which say nothing of the host whatever the pattern. */
  readonly ownInterfaces: readonly string[];
}

/** Where no link matches. */
const UNKNOWN = 1460;
/** IP, UDP and WireGuard's own header and tag. */
const OVERHEAD: Readonly<Record<Family, number>> = { 4: 60, 6: 80 };
const AKS_OVERHEAD = 100;
/** RFC 791 and RFC 8200. */
const LEAST: Readonly<Record<Family, number>> = { 4: 68, 6: 1280 };

export function tunnelMtu(input: MtuInput): { readonly mtu: number; readonly problems: readonly Problem[] } {
  const { family, configured, hostEncryption, facts } = input;
  const name = family === 4 ? 'WireguardMTU' : 'WireguardMTUV6';
  if (configured >= LEAST[family]) return { mtu: configured, problems: [] };
  const found = hostMtu(input) - OVERHEAD[family] - (facts.aks && hostEncryption ? AKS_OVERHEAD : 0);
  const mtu = Math.max(found, LEAST[family]);
  const problems: Problem[] = [];
  if (configured !== 0)
    problems.push({
      object: 'FelixConfiguration',
      reason: 'InvalidMtu',
      message: `${name} is ${configured}, and IPv${family} needs ${LEAST[family]} at least; ${mtu} is used`,
    });
  else if (found < mtu)
    problems.push({
      object: 'Host',
      reason: 'MtuTooSmall',
      message: `the host's links leave ${found} bytes for the tunnel, and IPv${family} needs ${mtu}; raise the MTU of the links that match ${input.pattern.source}`,
    });
  return { mtu, problems };
}

function hostMtu({ facts, pattern, ownInterfaces }: MtuInput): number {
  const matching = facts.links.filter(
    ({ name, up, mtu }) => up && mtu > 0 && !ownInterfaces.includes(name) && pattern.test(name),
  );
  return matching.length === 0 ? UNKNOWN : Math.min(...matching.map(({ mtu }) => mtu));
}
