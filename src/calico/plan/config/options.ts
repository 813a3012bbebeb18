/**
 * The agent's own options, in addition to Felix's parameters, and their validation
 * (docs/reference/calico-felix.md#safe-names-and-numbers).
 */
import type { Family } from '../../../base/family.ts';
import { isInterfaceName } from '../../../base/interface-name.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { type FelixParameters, felixTableRanges, PARAMETER_NAMES, PARAMETERS } from './parameters.ts';

/**
 * Options that the agent's operator sets, in addition to Felix's configuration
 * (docs/reference/calico-felix.md#safe-names-and-numbers).
 */
export interface PlanOptions {
  /** Names of the devices, one for each IP version, at most 15 bytes each. */
  readonly interfaceNames: Readonly<Record<Family, string>>;
  /**
   * Number of the route table, 1 to 4294967295 except 253, 254 and 255. Both families use the same
   * number: the kernel keeps a separate table for each family.
   */
  readonly table: number;
  /** Firewall mark of encrypted datagrams, 1 to 0xffffffff. No other program may use its bits. */
  readonly mark: number;
  /** Priority of the routing rule, 1 to 32765. Overrides Felix's WireguardRoutingRulePriority. */
  readonly rulePriority?: number | undefined;
  /**
   * Makes a destination unreachable if its traffic cannot be encrypted, instead of sending in the
   * clear.
   */
  readonly failClosed: boolean;
  /** Takes pod addresses from `spec.podCIDRs`, as Calico's USE_POD_CIDR does (host-local IPAM). */
  readonly usePodCidr: boolean;
  /**
   * `as-felix` follows Felix's configuration of this node. `always` enables the tunnel if
   * `default`, or this agent's environment or file, enables it; `node.<name>` and selector-scoped
   * configurations then disable only Felix's WireGuard.
   */
  readonly enableHere: 'as-felix' | 'always';
}

/** The options that `wgts calico` starts with. */
export const DEFAULT_OPTIONS: PlanOptions = {
  interfaceNames: { 4: 'tunl-wg.cali', 6: 'tunl-wg6.cali' },
  table: 51820,
  mark: 0x1000,
  failClosed: false,
  usePodCidr: false,
  enableHere: 'as-felix',
};

export interface OptionsCheck {
  /** Problems that make a tunnel impossible. */
  readonly errors: readonly Problem[];
  /** Problems that may be harmless. */
  readonly warnings: readonly Problem[];
}

const KUBE_PROXY_MARKS = 0xc000;
/** The kernel's reserved tables: unspec, default, main and local. */
const KERNEL_TABLES = [0, 253, 254, 255];

/** Validates the options against the node's Felix parameters. */
export function checkOptions(options: PlanOptions, parameters: FelixParameters): OptionsCheck {
  const { interfaceNames, table, mark, rulePriority } = options;
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  for (const family of [4, 6] as const) errors.push(...checkName(interfaceNames[family], family, parameters));
  if (interfaceNames[4] === interfaceNames[6])
    errors.push(
      problem(
        'InvalidInterfaceName',
        `both families have interface ${quoted(interfaceNames[4])}; give two names, one for each family`,
      ),
    );
  const felix = felixTableRanges(parameters);
  if (!isIntegerBetween(table, 1, 0xffffffff) || KERNEL_TABLES.includes(table))
    errors.push(
      problem(
        'InvalidTable',
        `route table ${table} cannot be used: choose one from 1 to 4294967295 except 253, 254 and 255`,
      ),
    );
  else if (table === felixWireguardTable(felix))
    errors.push(
      problem(
        'InvalidTable',
        `Felix uses route table ${table} for its own WireGuard routes and deletes all others from it; choose a table outside routeTableRanges`,
      ),
    );
  else if (felix.some(({ min, max }) => table >= min && table <= max))
    warnings.push(
      problem(
        'TableInFelixRange',
        `route table ${table} is within Felix's routeTableRanges, so Felix may take it; choose a table outside`,
      ),
    );
  if (!isIntegerBetween(mark, 1, 0xffffffff))
    errors.push(
      problem(
        'InvalidMark',
        `mark ${mark} cannot be used: choose one from 1 to 0xffffffff whose bits no other program uses`,
      ),
    );
  else {
    const masks = { Felix: parameters.IptablesMarkMask, "Felix's nftables": parameters.NftablesMarkMask };
    const shared = Object.entries({ ...masks, 'kube-proxy': KUBE_PROXY_MARKS }).find(([, mask]) => (mark & mask) !== 0);
    if (shared)
      warnings.push(
        problem(
          'MarkInUse',
          `mark ${hex(mark)} shares bits with ${shared[0]} (mask ${hex(shared[1])}); choose a bit outside the mask`,
        ),
      );
  }
  if (rulePriority !== undefined && !isIntegerBetween(rulePriority, 1, 32765))
    errors.push(
      problem(
        'InvalidRulePriority',
        `rule priority ${rulePriority} cannot be used: choose one from 1 to 32765, or omit the option to use Felix's`,
      ),
    );
  return { errors, warnings };
}

/**
 * Returns the errors that no Felix configuration can resolve. The command line reports them before
 * the agent reads the cluster.
 */
export function optionErrors(options: PlanOptions): readonly Problem[] {
  const defaults = Object.fromEntries(PARAMETER_NAMES.map(name => [name, PARAMETERS[name].default]));
  const cleared = {
    WireguardInterfaceName: '',
    WireguardInterfaceNameV6: '',
    InterfacePrefix: [],
    RouteTableRanges: [],
  };
  return checkOptions(options, { ...(defaults as unknown as FelixParameters), ...cleared }).errors;
}

/**
 * Rejects names that the kernel refuses and names that Felix claims. Felix would delete a link with
 * a name that it claims, or fail on it ten times a second.
 */
function checkName(name: string, family: Family, parameters: FelixParameters): Problem[] {
  if (!isInterfaceName(name))
    return [
      problem(
        'InvalidInterfaceName',
        `${quoted(name)} for IPv${family} is not an interface name: choose 1 to 15 characters without slash, colon or space`,
      ),
    ];
  const { WireguardInterfaceName, WireguardInterfaceNameV6, InterfacePrefix } = parameters;
  if (name === WireguardInterfaceName || name === WireguardInterfaceNameV6)
    return [
      problem(
        'InvalidInterfaceName',
        `${quoted(name)} is the name of Felix's own interface; choose another, or rename Felix's in node.<name> (wireguardInterfaceName${name === WireguardInterfaceNameV6 ? 'V6' : ''})`,
      ),
    ];
  const prefix = InterfacePrefix.find(each => name.startsWith(each));
  if (prefix === undefined) return [];
  return [
    problem(
      'InvalidInterfaceName',
      `${quoted(name)} starts with ${quoted(prefix)}, the prefix of pod interfaces, so Felix would treat it as a pod's; choose another`,
    ),
  ];
}

/**
 * Returns Felix's own WireGuard table: the first in its ranges that the kernel does not reserve.
 */
function felixWireguardTable(ranges: ReturnType<typeof felixTableRanges>): number | undefined {
  for (const { min, max } of ranges)
    for (let table = min; table <= max; table++) if (!KERNEL_TABLES.includes(table)) return table;
  return undefined;
}

function isIntegerBetween(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function problem(reason: string, message: string): Problem {
  return { object: 'Options', reason, message };
}
