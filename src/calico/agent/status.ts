/** The agent's current state, which /readyz, the metrics, the log and the Events report. */
import type { Family } from '../../base/family.ts';
import type { AppliedState } from '../apply/applier.ts';
import type { Problem } from '../model/problem.ts';
import type { Plan } from '../plan/input.ts';
import type { AgentDependencies } from './dependencies.ts';

/**
 * - `waiting`: the cluster has not been read completely; existing tunnels keep running.
 * - `handed-over`: the kernel has WireGuard, so Felix encrypts.
 * - `running`: a plan was applied at least once, possibly with errors.
 */
type Phase = 'waiting' | 'handed-over' | 'running';

export interface AgentStatus {
  readonly phase: Phase;
  /** Since when and why the cluster cannot be read. Absent while it can be read. */
  readonly stale?: string;
  /** The error that the last turn threw. */
  readonly failure?: string;
  readonly plan?: Plan;
  readonly applied?: AppliedState;
  readonly published: Readonly<Record<Family, boolean>>;
  /** The problems in the cluster, in the plan and on this node. */
  readonly problems: readonly Problem[];
  readonly turns: Turns;
}

interface Turns {
  readonly count: number;
  /** When the last turn ended, successful or not, in milliseconds of the agent's clock. */
  readonly lastEnd: number;
  /** When the current turn began. Absent between turns. */
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

/** A turn that takes longer counts as hung: /healthz fails, and the kubelet restarts the agent. */
const LONGEST_TURN_MS = 120_000;

/** Returns why the agent counts as hung, or undefined if it does not. */
export function hangReason({ turns }: AgentStatus, now: number): string | undefined {
  if (turns.begun === undefined || now - turns.begun <= LONGEST_TURN_MS) return undefined;
  const seconds = Math.round((now - turns.begun) / 1000);
  return `the current turn has been running for ${seconds} s, so the agent counts as hung; restart it`;
}

/** Returns why this node has not converged. The list is empty if it has converged. */
export function unreadyReasons({ phase, stale, failure, plan, applied, published }: AgentStatus): string[] {
  const reasons = failure === undefined ? [] : [`the last turn failed: ${failure}`];
  if (phase === 'handed-over') return reasons;
  if (phase === 'waiting') {
    if (stale) return [`the cluster cannot be read: ${stale}`];
    return reasons.length > 0 ? reasons : ['the cluster is still being read'];
  }
  reasons.push(...unusableReasons(plan));
  for (const family of [4, 6] as const) {
    if (!plan?.desired.tunnels[family]) continue;
    const tunnel = applied?.tunnels[family];
    if (tunnel?.error) reasons.push(`IPv${family}: ${tunnel.error.step}: ${tunnel.error.message}`);
    if (!tunnel?.ready) reasons.push(`IPv${family}: the tunnel is not up`);
    else if (!published[family]) reasons.push(`IPv${family}: the key is not on our Node yet`);
  }
  return reasons;
}

/** Returns why a plan cannot make this node ready, however it is applied. */
export function unusableReasons(plan: Plan | undefined): string[] {
  return (plan?.problems ?? [])
    .filter(({ object, reason }) => reason === 'UnknownNode' || (object === 'Options' && reason.startsWith('Invalid')))
    .map(({ message }) => message);
}

/**
 * Logs when the cluster becomes unreadable and when it becomes readable again, but not each failed
 * attempt.
 */
export function logStaleness(
  { log, warn }: Pick<AgentDependencies, 'log' | 'warn'>,
  before: string | undefined,
  now: string | undefined,
): void {
  if (now !== undefined && before === undefined)
    warn(`the cluster cannot be read, so its last known state stays in effect: ${now}`);
  if (now === undefined && before !== undefined) log('the cluster can be read again');
}
