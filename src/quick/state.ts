/**
 * What is remembered of an interface in /run/wireguard-ts, from before the first thing is done until after the last is undone: what the
 * kernel itself would not tell afterwards. No secrets: neither private keys nor hooks are in it.
 */
import { ConfigError } from '../config/errors.ts';
import type { Family } from '../netlink/family.ts';

export type BackendKind = 'kernel' | 'userspace';

export interface QuickState {
  readonly version: 1;
  readonly name: string;
  /** The configuration file, absolute. */
  readonly file: string;
  /** `starting` and `stopping` after an end that was not ours mean: half done. */
  readonly phase: 'starting' | 'up' | 'stopping';
  readonly backend?: BackendKind;
  /** The interface was there, whole, when this was written. */
  readonly made?: boolean;
  /** Where a default route is, and the mark of the packets that do not take it. */
  readonly policy?: PolicyState;
  readonly dns?: boolean;
  /** Name servers and search domains of the file, as they were set. */
  readonly resolver?: string;
  /** Where the file said that peers are: `KEY host:port`. */
  readonly endpoints?: readonly string[];
  /** IPv6 was switched off: the file's IPv6 addresses and routes are not there. */
  readonly lacksIpv6?: boolean;
  /** Which content the file had, as its reader tells them apart. */
  readonly fileVersion?: string;
  /** Of the file, as `10.9.0.2/24`: what hooks and daemons add is not ours to take away. */
  readonly addresses?: readonly string[];
  /** As `10.7.0.0/16 254`, with the table. */
  readonly routes?: readonly string[];
  readonly configured?: Configured;
  /** Hooks that ran in this phase: `PreUp 0`. */
  readonly hooksDone: readonly string[];
}

/** What the file said of the device: what hooks and people set stays when the file changes. */
export interface Configured {
  /** The mark is the file's, or chosen for its default route. */
  readonly mark: boolean;
  /** Its peers, each with which of its settings: `KEY preshared-key keepalive allowed-ips`. */
  readonly peers: readonly string[];
  /** Public keys of the peers that were there before: PreUp made them. */
  readonly found: readonly string[];
}

export interface PolicyState {
  readonly table: number;
  readonly rules: readonly RuleState[];
  /** What src_valid_mark was before, if it was changed. */
  readonly markWasValid?: string;
}

/** A rule of ours, exactly. */
export interface RuleState {
  readonly family: Family;
  readonly priority: number;
  /** `not fwmark T table T`, or `table main suppress_prefixlength 0`. */
  readonly kind: 'mark' | 'suppress';
  /** T, where it is an earlier one: of a rule that is about to go. */
  readonly table?: number;
}

/** Each rule with its table. */
export function tabledRules({ table, rules }: PolicyState): Required<RuleState>[] {
  return rules.map(rule => ({ table, ...rule }));
}

export function formatState(state: QuickState): string {
  return `${JSON.stringify(state, undefined, 1)}\n`;
}

/** @throws ConfigError for what this version did not write */
export function parseState(text: string, path: string): QuickState {
  let state: Partial<QuickState> | null;
  try {
    state = JSON.parse(text) as Partial<QuickState> | null;
  } catch {
    state = null;
  }
  const whole =
    state?.version === 1 &&
    typeof state.name === 'string' &&
    typeof state.file === 'string' &&
    ['starting', 'up', 'stopping'].includes(state.phase ?? '') &&
    Array.isArray(state.hooksDone) &&
    (state.policy === undefined || (typeof state.policy.table === 'number' && Array.isArray(state.policy.rules)));
  if (whole) return state as QuickState;
  throw new ConfigError('syntax', 'that is not what this version of wgts writes there; look at it, then remove it', {
    file: path,
  });
}
