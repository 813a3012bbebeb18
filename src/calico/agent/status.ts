/** What the agent says of itself at any moment: for /readyz, the metrics, the log and the Events. */
import type { Family } from '../../netlink/family.ts';
import type { AppliedState } from '../apply/applier.ts';
import type { Problem } from '../model/problem.ts';
import type { Plan } from '../plan/input.ts';
import type { AgentParts } from './dependencies.ts';

/**
 * `waiting`: the cluster was not read whole yet, and what was there before runs on; `handed-over`: the kernel has WireGuard itself, which is
 * Felix's to use; `running`: the plan was carried out at least once, be it with errors.
 */
export type Phase = 'waiting' | 'handed-over' | 'running';

export interface AgentStatus {
  readonly phase: Phase;
  /** Since when the cluster cannot be read, and why. */
  readonly stale?: string;
  /** Why the last turn came to nothing. */
  readonly failure?: string;
  readonly plan?: Plan;
  readonly applied?: AppliedState;
  readonly published: Readonly<Record<Family, boolean>>;
  /** All that is wrong, wherever it was found. */
  readonly problems: readonly Problem[];
  readonly turns: Turns;
}

export interface Turns {
  readonly count: number;
  /** Of the clock; of the last that ended, whatever its end. */
  readonly lastEnd: number;
  /** Since when one is under way. */
  readonly begun?: number;
  readonly failed: number;
  readonly changes: number;
  readonly planSeconds: number;
  readonly applySeconds: number;
}

export const FIRST_STATUS: AgentStatus = {
  phase: 'waiting',
  published: { 4: false, 6: false },
  problems: [],
  turns: { count: 0, lastEnd: 0, failed: 0, changes: 0, planSeconds: 0, applySeconds: 0 },
};

/** A turn that takes longer hangs: /healthz says so, and whoever watches us starts us again. */
const LONGEST_TURN = 120_000;

/** @returns why the agent is not alive */
export function illness({ turns }: AgentStatus, now: number): string | undefined {
  if (turns.begun === undefined || now - turns.begun <= LONGEST_TURN) return undefined;
  return `the turn under way began ${Math.round((now - turns.begun) / 1000)} s ago`;
}

/** @returns why this node does not do yet what it shall; empty when it does */
export function unreadiness({ phase, stale, failure, plan, applied, published }: AgentStatus): string[] {
  const reasons = failure === undefined ? [] : [`the last turn failed: ${failure}`];
  if (phase === 'handed-over') return reasons;
  if (phase === 'waiting') {
    if (stale) return [`the cluster cannot be read: ${stale}`];
    return reasons.length > 0 ? reasons : ['the cluster is being read'];
  }
  for (const { object, reason, message } of plan?.problems ?? [])
    if (reason === 'UnknownNode' || (object === 'Options' && reason.startsWith('Invalid'))) reasons.push(message);
  for (const family of [4, 6] as const) {
    if (!plan?.desired.tunnels[family]) continue;
    const tunnel = applied?.tunnels[family];
    if (tunnel?.error) reasons.push(`IPv${family}: ${tunnel.error.step}: ${tunnel.error.message}`);
    if (!tunnel?.ready) reasons.push(`IPv${family}: the tunnel is not up`);
    else if (!published[family]) reasons.push(`IPv${family}: the key is not on our Node yet`);
  }
  return reasons;
}

/** When it begins and when it ends: how often the cluster was asked in vain is nothing to read. */
export function sayStaleness(
  { say, warn }: Pick<AgentParts, 'say' | 'warn'>,
  before: string | undefined,
  now: string | undefined,
): void {
  if (now !== undefined && before === undefined)
    warn(`the cluster cannot be read, what was known of it goes on to count: ${now}`);
  if (now === undefined && before !== undefined) say('the cluster is read again');
}
