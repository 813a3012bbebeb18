/**
 * The state of an interface in /run/wireguard-ts, from before the first change until after the last
 * removal. It records facts that the kernel cannot report later. It holds no secrets: neither
 * private keys nor hooks.
 */
import type { Family } from '../base/family.ts';
import { ConfigError } from '../config/errors.ts';

export type DeviceKind = 'kernel' | 'userspace';

export interface QuickState {
  readonly version: 1;
  readonly name: string;
  /** Absolute path of the configuration file. */
  readonly file: string;
  /** After a crash, `starting` and `stopping` mean that the operation is incomplete. */
  readonly phase: 'starting' | 'up' | 'stopping';
  readonly backend?: DeviceKind;
  /** Whether the device was complete when this was written. */
  readonly made?: boolean;
  /** The table of a default route, and the mark of packets that bypass it. */
  readonly policy?: PolicyState;
  readonly dns?: boolean;
  /** The name servers and search domains that were set from the file. */
  readonly resolver?: string;
  /** Endpoints in the file: `KEY host:port`. */
  readonly endpoints?: readonly string[];
  /** The addresses that these endpoints had last: `KEY 192.0.2.1:51820`. */
  readonly resolved?: readonly string[];
  /** Whether a new process takes a link whose process died, and is not configured yet. */
  readonly adopting?: boolean;
  /** Whether IPv6 was disabled, so that the file's IPv6 addresses and routes were omitted. */
  readonly lacksIpv6?: boolean;
  /** The version of the file's content (fileVersion in src/host/conf-file.ts). */
  readonly fileVersion?: string;
  /**
   * Addresses from the file, as `10.9.0.2/24`. Addresses that hooks and daemons added are not
   * recorded, because we must not remove them.
   */
  readonly addresses?: readonly string[];
  /** Routes with their tables, as `10.7.0.0/16 254`. */
  readonly routes?: readonly string[];
  readonly configured?: Configured;
  /** Hooks completed in this phase: `PreUp 0`. */
  readonly hooksDone: readonly string[];
}

/**
 * The settings that the file made on the device. When the file changes, the settings of hooks and
 * people stay.
 */
export interface Configured {
  /** Whether the mark comes from the file or was chosen for the file's default route. */
  readonly mark: boolean;
  /**
   * Peers of the file, each with the names of the settings that the file has for it: `KEY
   * preshared-key keepalive allowed-ips`.
   */
  readonly peers: readonly string[];
  /** Public keys of the peers that existed before the file was applied: those that PreUp made. */
  readonly found: readonly string[];
}

export interface PolicyState {
  readonly table: number;
  readonly rules: readonly RuleState[];
  /** The earlier value of src_valid_mark, if it was changed. */
  readonly markWasValid?: string;
}

/** One rule that we added. */
export interface RuleState {
  readonly family: Family;
  readonly priority: number;
  /** `mark`: `not fwmark T table T`. `suppress`: `table main suppress_prefixlength 0`. */
  readonly kind: 'mark' | 'suppress';
  /** The table T of a stale rule that is about to be removed, if it differs from the policy's. */
  readonly table?: number;
}

/** Returns each rule with its table. */
export function tabledRules({ table, rules }: PolicyState): Required<RuleState>[] {
  return rules.map(rule => ({ table, ...rule }));
}

export function formatState(state: QuickState): string {
  return `${JSON.stringify(state, undefined, 1)}\n`;
}

/** Parses a state. @throws ConfigError if this version did not write the text */
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
  throw new ConfigError('syntax', 'this version of wgts did not write this file: look at it, then remove it', {
    file: path,
  });
}
