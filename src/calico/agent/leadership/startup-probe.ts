/**
 * The startup probe of the agent's pod: whether the agent in this container leads the node. With
 * hostNetwork, the old agent's answers over HTTP would count for the new pod, so the other probes
 * begin only afterwards.
 */
import type { LeadershipChannel } from './leadership.ts';

/**
 * Returns why the startup probe fails; undefined if it succeeds. It also succeeds if the leader
 * cannot be asked: then it ends only when its pod is deleted, for which the kubelet waits for us.
 */
export async function startupFailure(channel: LeadershipChannel, pidNamespace: string): Promise<string | undefined> {
  const holder = await channel.contact();
  holder?.close();
  if (!holder) return 'no agent leads this node yet';
  if (holder.kind !== 'agent' || holder.agent?.pidNamespace === pidNamespace) return undefined;
  return `the agent of another container leads this node (${holder.description}); ours waits to take over`;
}
