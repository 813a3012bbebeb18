/** What the agent's operator chooses, beside what Felix is told (docs/reference/calico-felix.md#safe-names-and-numbers), and whether it can be. */
import type { Family } from '../../../netlink/family.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { type FelixParameters, felixTables, PARAMETER_NAMES, PARAMETERS } from './parameters.ts';

/**
 * What the agent's operator chooses, beside Felix's own configuration
 * (docs/reference/calico-felix.md#safe-names-and-numbers).
 */
export interface PlanOptions {
  /** Names of the devices, one for each IP version, at most 15 bytes each. */
  readonly interfaceNames: Readonly<Record<Family, string>>;
  /**
   * Number of the route table, 1 to 4294967295 without 253, 254 and 255. Both families use it: the
   * kernel keeps a table for each.
   */
  readonly table: number;
  /**
   * Firewall mark of encrypted datagrams, 1 to 0xffffffff; its bits must not be used by another
   * program.
   */
  readonly mark: number;
  /** Priority of the rule, 1 to 32765, in place of Felix's WireguardRoutingRulePriority. */
  readonly rulePriority?: number | undefined;
  /**
   * Makes destinations unreachable that cannot be encrypted, instead of sending to them in the
   * clear.
   */
  readonly failClosed: boolean;
  /**
   * Takes pods' addresses from `spec.podCIDRs`, as Calico's USE_POD_CIDR does (host-local IPAM).
   */
  readonly usePodCidr: boolean;
  /**
   * `as-felix` follows Felix's configuration of this node. `always` turns the tunnel on wherever
   * the cluster has it on (`default`, or this agent's environment): `node.<name>` and
   * selector-scoped configurations then only tell Felix to keep away.
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
  /** Nothing can be done with these. */
  readonly errors: readonly Problem[];
  /** These may work. */
  readonly warnings: readonly Problem[];
}

const KUBE_PROXY_MARKS = 0xc000;
/** unspec, and the kernel's default, main and local. */
const KERNEL_TABLES = [0, 253, 254, 255];

export function checkOptions(options: PlanOptions, parameters: FelixParameters): OptionsCheck {
  const { interfaceNames, table, mark, rulePriority } = options;
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  for (const family of [4, 6] as const) errors.push(...checkName(interfaceNames[family], family, parameters));
  if (interfaceNames[4] === interfaceNames[6])
    errors.push(
      problem('InvalidInterfaceName', `both families have interface ${quoted(interfaceNames[4])}; give two names`),
    );
  const felix = felixTables(parameters);
  if (!isWhole(table, 1, 0xffffffff) || KERNEL_TABLES.includes(table))
    errors.push(
      problem(
        'InvalidTable',
        `route table ${table} cannot be used: choose one from 1 to 4294967295 without 253, 254 and 255`,
      ),
    );
  else if (table === felixOwnTable(felix))
    errors.push(
      problem(
        'InvalidTable',
        `route table ${table} is the one that Felix empties; choose one outside of routeTableRanges`,
      ),
    );
  else if (felix.some(({ min, max }) => table >= min && table <= max))
    warnings.push(
      problem('TableInFelixRange', `route table ${table} is within Felix's routeTableRanges; choose one outside`),
    );
  if (!isWhole(mark, 1, 0xffffffff))
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
          `mark ${hex(mark)} has bits of ${shared[0]} (mask ${hex(shared[1])}); choose a bit outside`,
        ),
      );
  }
  if (rulePriority !== undefined && !isWhole(rulePriority, 1, 32765))
    errors.push(
      problem(
        'InvalidRulePriority',
        `rule priority ${rulePriority} cannot be used: choose one from 1 to 32765, or leave it out for Felix's`,
      ),
    );
  return { errors, warnings };
}

/** Those errors that no configuration of Felix's can mend, so that they are known before anything is read. */
export function optionErrors(options: PlanOptions): readonly Problem[] {
  const defaults = Object.fromEntries(PARAMETER_NAMES.map(name => [name, PARAMETERS[name].default]));
  const none = { WireguardInterfaceName: '', WireguardInterfaceNameV6: '', InterfacePrefix: [], RouteTableRanges: [] };
  return checkOptions(options, { ...(defaults as unknown as FelixParameters), ...none }).errors;
}

/** Felix would delete the link, or fail over it ten times a second. */
function checkName(name: string, family: Family, parameters: FelixParameters): Problem[] {
  if (!/^[^\s/:\0]+$/.test(name) || bytesOf(name) > 15 || name === '.' || name === '..')
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
        `${quoted(name)} is the name of Felix's own interface; choose another, or give Felix another in node.<name> (wireguardInterfaceName${name === WireguardInterfaceNameV6 ? 'V6' : ''})`,
      ),
    ];
  const prefix = InterfacePrefix.find(each => name.startsWith(each));
  if (prefix === undefined) return [];
  return [
    problem(
      'InvalidInterfaceName',
      `${quoted(name)} begins like the interfaces of pods (${quoted(prefix)}), for which Felix would take it; choose another`,
    ),
  ];
}

/** The first of its ranges that the kernel does not use itself. */
function felixOwnTable(ranges: ReturnType<typeof felixTables>): number | undefined {
  for (const { min, max } of ranges)
    for (let table = min; table <= max; table++) if (!KERNEL_TABLES.includes(table)) return table;
  return undefined;
}

function bytesOf(name: string): number {
  let bytes = 0;
  for (const character of name) {
    const point = character.codePointAt(0)!;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function problem(reason: string, message: string): Problem {
  return { object: 'Options', reason, message };
}
