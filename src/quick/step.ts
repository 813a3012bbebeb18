/** One step of a plan, in a form that can be compared and described. */
import { formatAddress } from '../base/address.ts';
import type { Family } from '../base/family.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { DeviceConfig } from '../config/model.ts';
import { TABLE } from '../netlink/route.ts';
import { describeRule, type NewRule } from '../netlink/rules.ts';
import type { HookEvent, QuickAddress } from './file.ts';
import type { FirewallPlan } from './firewall.ts';
import type { DeviceKind, QuickState, RuleState } from './state.ts';

/** A change of the recorded state. A field that is set to undefined is removed. */
type StateChange = { readonly [K in keyof Omit<QuickState, 'version' | 'name'>]?: QuickState[K] | undefined };

export interface QuickRoute {
  readonly destination: Prefix;
  readonly table: number;
}

export type Step =
  | { readonly do: 'remember'; readonly change: StateChange }
  | { readonly do: 'forget' }
  | { readonly do: 'hook'; readonly event: HookEvent; readonly index: number; readonly command: string }
  | { readonly do: 'make-link'; readonly kind: DeviceKind }
  | { readonly do: 'remove-link' }
  | { readonly do: 'configure'; readonly config: DeviceConfig }
  | { readonly do: 'add-address' | 'remove-address'; readonly address: QuickAddress }
  | { readonly do: 'link-up'; readonly mtu: number }
  | { readonly do: 'set-dns'; readonly servers: readonly string[]; readonly search: readonly string[] }
  | { readonly do: 'unset-dns' }
  | { readonly do: 'set-firewall'; readonly firewall: FirewallPlan }
  | { readonly do: 'remove-firewall' }
  /** `strict`: the links that drop the peers' answers if the mark is not valid. */
  | { readonly do: 'mark-valid'; readonly value: string; readonly strict?: readonly string[] }
  | { readonly do: 'add-route' | 'remove-route'; readonly route: QuickRoute }
  | { readonly do: 'add-rule' | 'remove-rule'; readonly rule: RuleState; readonly table: number }
  | { readonly do: 'save'; readonly path: string; readonly text: string };

/** Returns the rule in the form that the kernel expects. */
export function kernelRule({ family, priority, kind }: RuleState, table: number): NewRule & { family: Family } {
  return kind === 'mark'
    ? { family, priority, invert: true, mark: table, table }
    : { family, priority, table: TABLE.main, suppressPrefixLength: 0 };
}

/**
 * Describes a step for people, never with a secret. Returns undefined for a step that needs no
 * line.
 */
export function describeStep(step: Step, name: string): string | undefined {
  switch (step.do) {
    case 'remember':
    case 'forget':
      return undefined;
    case 'hook':
      return `${step.event}: ${step.command}`;
    case 'make-link':
      return step.kind === 'kernel' ? `link ${name}: the kernel's WireGuard` : `link ${name}: WireGuard in userspace`;
    case 'remove-link':
      return `remove link ${name}`;
    case 'configure': {
      const { length } = step.config.peers ?? [];
      return `configure ${name}: ${length} peer${length === 1 ? '' : 's'}`;
    }
    case 'add-address':
    case 'remove-address': {
      const { address, prefixLength } = step.address;
      return `${step.do === 'add-address' ? 'address' : 'remove address'} ${formatAddress(address)}/${prefixLength}`;
    }
    case 'link-up':
      return `link ${name} up, MTU ${step.mtu}`;
    case 'set-dns':
      return `DNS ${[...step.servers, ...step.search].join(' ')}`;
    case 'unset-dns':
      return 'remove DNS';
    case 'set-firewall':
      return `firewall for ${step.firewall.families.map(family => `IPv${family}`).join(' and ')}`;
    case 'remove-firewall':
      return 'remove firewall';
    case 'mark-valid':
      return `net.ipv4.conf.all.src_valid_mark = ${step.value}`;
    case 'add-route':
    case 'remove-route': {
      const { destination, table } = step.route;
      const where = table === TABLE.main ? '' : ` table ${table}`;
      return `${step.do === 'add-route' ? 'route' : 'remove route'} ${formatPrefix(destination)}${where}`;
    }
    case 'add-rule':
    case 'remove-rule':
      return `${step.do === 'add-rule' ? 'rule' : 'remove rule'} ${describeRule(kernelRule(step.rule, step.table))}`;
    case 'save':
      return `save ${step.path}`;
  }
}
