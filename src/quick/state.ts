/**
 * The state of an interface in /run/wireguard-ts, from before the first change until after the last
 * removal. It holds what the kernel could not report later, and no secrets: neither private keys
 * nor hooks.
 */
import type { Family } from '../base/family.ts';
import { ConfigError } from '../config/errors.ts';

export type DeviceKind = 'kernel' | 'userspace';

export interface QuickState {
  readonly version: 1;
  readonly name: string;
  /** Absolute path of the configuration file. */
  readonly file: string;
  /** After a crash, `starting` and `stopping` mean: incomplete. */
  readonly phase: 'starting' | 'up' | 'stopping';
  readonly backend?: DeviceKind;
  /** The interface was complete when this was written. */
  readonly made?: boolean;
  /** Where a default route is, and the mark of packets that bypass it. */
  readonly policy?: PolicyState;
  readonly dns?: boolean;
  /** Name servers and search domains of the file, as they were set. */
  readonly resolver?: string;
  /** Endpoints in the file: `KEY host:port`. */
  readonly endpoints?: readonly string[];
  /** IPv6 was disabled: the file's IPv6 addresses and routes were omitted. */
  readonly lacksIpv6?: boolean;
  /** The version of the file's content, from its reader. */
  readonly fileVersion?: string;
  /**
   * Addresses of the file, as `10.9.0.2/24`. Addresses that hooks and daemons add are not ours to
   * remove.
   */
  readonly addresses?: readonly string[];
  /** Routes as `10.7.0.0/16 254`, with the table. */
  readonly routes?: readonly string[];
  readonly configured?: Configured;
  /** Hooks that ran in this phase: `PreUp 0`. */
  readonly hooksDone: readonly string[];
}

/**
 * What the file configured on the device. Settings of hooks and people stay when the file changes.
 */
export interface Configured {
  /** The mark comes from the file, or was chosen for its default route. */
  readonly mark: boolean;
  /**
   * Peers of the file, each with the settings that it has: `KEY preshared-key keepalive
   * allowed-ips`.
   */
  readonly peers: readonly string[];
  /** Public keys of peers that existed before: PreUp made them. */
  readonly found: readonly string[];
}

export interface PolicyState {
  readonly table: number;
  readonly rules: readonly RuleState[];
  /** The earlier value of src_valid_mark, if it was changed. */
  readonly markWasValid?: string;
}

/** One rule of ours. */
export interface RuleState {
  readonly family: Family;
  readonly priority: number;
  /** `not fwmark T table T`, or `table main suppress_prefixlength 0`. */
  readonly kind: 'mark' | 'suppress';
  /** T of a stale rule that is about to be removed, if it differs. */
  readonly table?: number;
}

/** Returns each rule with its table. */
export function tabledRules({ table, rules }: PolicyState): Required<RuleState>[] {
  return rules.map(rule => ({ table, ...rule }));
}

export function formatState(state: QuickState): string {
  return `${JSON.stringify(state, undefined, 1)}\n`;
}

/** @throws ConfigError for a text that this version did not write */
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
