/**
 * The startup probe of the agent's pod: whether the agent in this container leads the node. With
 * hostNetwork, the old agent's answers over HTTP would count for the new pod, so the other probes
 * begin only afterwards.
 */
import type { LeadershipChannel } from './leadership.ts';

export interface Pauses {
  sleep(milliseconds: number): Promise<void>;
  /** Milliseconds of a clock that is never set. */
  now(): number;
}

/** A leader that does not answer for this long may be one that cannot be asked. */
const SURE_MS = 5_000;
const RETRY_MS = 500;

/**
 * Returns why the startup probe fails; undefined if it succeeds. It also succeeds if the leader
 * cannot be asked: then it ends only when its pod is deleted, for which the kubelet waits for us.
 * And it succeeds if no agent has the lock but another process does: then ours leads without it.
 */
export async function startupFailure(
  channel: LeadershipChannel,
  pidNamespace: string,
  { sleep, now }: Pauses,
): Promise<string | undefined> {
  for (const began = now(); ; await sleep(RETRY_MS)) {
    const holder = await channel.contact();
    holder?.close();
    if (!holder) return 'no agent leads this node yet';
    if (holder.kind === 'closing') return `no agent leads this node for certain: ${holder.description} has its name`;
    if (holder.kind === 'agent')
      return holder.agent?.pidNamespace === pidNamespace
        ? undefined
        : `the agent of another container leads this node (${holder.description}); ours waits to take over`;
    const isDoubtful = holder.kind === 'silent' || holder.kind === 'deaf';
    if (!isDoubtful || now() - began >= SURE_MS) return undefined;
  }
}
