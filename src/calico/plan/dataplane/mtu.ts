/**
 * Chooses the tunnel's MTU (docs/reference/calico-felix.md#mtu): the configured MTU, or else the
 * smallest MTU of the host's links minus WireGuard's overhead.
 */
import type { Family } from '../../../base/family.ts';
import type { Problem } from '../../model/problem.ts';
import type { NamePattern } from '../config/go-regexp.ts';

/** A network interface of the host. */
export interface HostLink {
  /** The interface's name. */
  readonly name: string;
  /** MTU in bytes. */
  readonly mtu: number;
  /** Whether the interface is up. The MTU of an interface that is down is ignored. */
  readonly up: boolean;
}

/** Facts about the host that a plan depends on. */
export interface HostFacts {
  /** Every interface of the host. */
  readonly links: readonly HostLink[];
  /**
   * Whether the host is a node of Azure's AKS. With host encryption, Azure's virtual network takes
   * another 100 bytes.
   */
  readonly aks: boolean;
}

export interface MtuInput {
  readonly family: Family;
  /** Bytes; 0 derives the MTU from the host's links. */
  readonly configured: number;
  readonly pattern: NamePattern;
  readonly hostEncryption: boolean;
  readonly facts: HostFacts;
  /**
   * Names of all tunnel devices. They never count as host links, even if the pattern matches them.
   */
  readonly ownInterfaces: readonly string[];
}

/** Assumed MTU of the host if no link matches. */
const DEFAULT_HOST_MTU = 1460;
/** Bytes of the IP, UDP and WireGuard headers and the authentication tag. */
const OVERHEAD: Readonly<Record<Family, number>> = { 4: 60, 6: 80 };
const AKS_OVERHEAD = 100;
/** Minimum MTU by RFC 791 and RFC 8200. */
const MIN_MTU: Readonly<Record<Family, number>> = { 4: 68, 6: 1280 };

/** Returns the MTU, and a Problem if the configured or derived one is too small for the family. */
export function tunnelMtu(input: MtuInput): { readonly mtu: number; readonly problems: readonly Problem[] } {
  const { family, configured, hostEncryption, facts } = input;
  const name = family === 4 ? 'WireguardMTU' : 'WireguardMTUV6';
  if (configured >= MIN_MTU[family]) return { mtu: configured, problems: [] };
  const derived = hostMtu(input) - OVERHEAD[family] - (facts.aks && hostEncryption ? AKS_OVERHEAD : 0);
  const mtu = Math.max(derived, MIN_MTU[family]);
  const problems: Problem[] = [];
  if (configured !== 0)
    problems.push({
      object: 'FelixConfiguration',
      reason: 'InvalidMtu',
      message: `${name} is ${configured}, but IPv${family} needs at least ${MIN_MTU[family]}; the agent uses ${mtu}: correct ${name}, or set 0 to derive it`,
    });
  else if (derived < mtu)
    problems.push({
      object: 'Host',
      reason: 'MtuTooSmall',
      message: `the host's links leave ${derived} bytes for the tunnel, but IPv${family} needs ${mtu}; raise the MTU of the links that match ${input.pattern.source}`,
    });
  return { mtu, problems };
}

function hostMtu({ facts, pattern, ownInterfaces }: MtuInput): number {
  const matching = facts.links.filter(
    ({ name, up, mtu }) => up && mtu > 0 && !ownInterfaces.includes(name) && pattern.test(name),
  );
  return matching.length === 0 ? DEFAULT_HOST_MTU : Math.min(...matching.map(({ mtu }) => mtu));
}
