/**
 * One agent leads a node at a time. The others wait, without touching the node:
 *
 * - A new agent in another container (the surge of a rolling update) prepares, then asks the leader
 *   to step down. The leader ends its turn, stops for good, and answers. Its device keeps running
 *   until the new agent takes it over.
 * - An agent that stepped down leads again if its successor ends before it is ended itself.
 * - A second agent in the same PID namespace was started by mistake, and ends with an error.
 *
 * The channel (channel.ts) is both the lock and the way to ask.
 */
import { codedError } from '../../../base/coded-error.ts';
import { type AgentIdentity, describeAgent } from './messages.ts';

/** The lock of this node's leadership. */
export interface LeadershipChannel {
  /** Takes the lock. @returns undefined if another process has it */
  claim(): Promise<Claim | undefined>;
  /** Connects to the process that has the lock. @returns undefined if no process has it */
  contact(): Promise<Holder | undefined>;
}

/** The lock, held by this process. */
export interface Claim {
  /** Resolves when another agent asks this one to step down. */
  readonly asked: Promise<Successor>;
  /** Frees the lock, and ends all connections except that of the successor. Idempotent. */
  release(): void;
}

export interface Successor {
  readonly agent: AgentIdentity;
  /** Resolves when the successor's process has ended. */
  readonly ended: Promise<void>;
  /** Answers that this agent has stepped down. */
  grant(): void;
  close(): void;
}

/** The process that has the lock. */
export interface Holder {
  /**
   * `stranger`: a process of another user took the name. `unreadable`: an agent of a version that
   * cannot be asked. `silent`: it does not answer now, or a sandbox forbids connections. `closing`:
   * it ends connections, because it ends or has too many. `deaf`: it took the name without
   * listening.
   */
  readonly kind: 'agent' | 'stranger' | 'unreadable' | 'silent' | 'closing' | 'deaf';
  /** Present for an agent. */
  readonly agent?: AgentIdentity;
  /** What it is, for the log. */
  readonly description: string;
  /** Resolves when the holder may have ended or no longer has the lock. */
  readonly ended: Promise<void>;
  /** Asks an agent to step down. @returns why it refuses; undefined if it stepped down or ended */
  askToStepDown(): Promise<string | undefined>;
  close(): void;
}

export interface LeadershipOptions {
  readonly channel: LeadershipChannel;
  readonly self: AgentIdentity;
  /** Ends this agent. */
  readonly stop: AbortSignal;
  /** Resolves once this agent could lead, or when it is aborted. Changes nothing on the node. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Leads until it is aborted. When it resolves, nothing of this agent acts any more. */
  lead(signal: AbortSignal): Promise<void>;
  /** Resolves after this time, or when it is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Milliseconds of a clock that is never set. */
  now(): number;
  log(text: string): void;
  warn(text: string): void;
}

/** Pause before the next attempt if the leader changed in the same moment. */
const PAUSE_MS = 50;
/** No agent leads if its name is taken, but no process listens on it for this long. */
const DEAF_MS = 10_000;
/** A leader finishes its turn before it answers. It is stuck if that takes longer than this. */
const ANSWER_MS = 120_000;
/** Pause between attempts to claim the lock while this agent leads without it. */
const CLAIM_AGAIN_MS = 1_000;

/**
 * Leads the node, or waits until it may, until the signal.
 * @throws Error with `code` EBUSY if an agent that is no predecessor leads the node
 */
export async function shareLeadership(options: LeadershipOptions): Promise<void> {
  // An open connection would keep this process alive, so all are closed at the end.
  const connections: { close(): void }[] = [];
  try {
    await takeTurns(options, connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function takeTurns(options: LeadershipOptions, connections: { close(): void }[]): Promise<void> {
  const { channel, stop, sleep, now, warn } = options;
  /** Whether this agent may still ask the leader to step down: once, or two would take turns. */
  let mayAsk = true;
  const warned = new Set<string>();
  const stopped = whenAborted(stop);
  /** Since when the name has been taken without an agent that listens. */
  let deafSince: number | undefined;
  const close = (holder: Holder): void => {
    holder.close();
    connections.splice(connections.indexOf(holder), 1);
  };
  while (!stop.aborted) {
    const claim = await channel.claim();
    const holder = claim ? undefined : await channel.contact();
    const isDeaf = !claim && (!holder || holder.kind === 'deaf');
    deafSince = isDeaf ? (deafSince ?? now()) : undefined;
    const isStrange = holder?.kind === 'stranger' || (isDeaf && now() - deafSince! >= DEAF_MS);
    if (claim || isStrange) {
      if (claim) mayAsk = false;
      else warn(strangerWarning(holder));
      holder?.close();
      const successor = claim ? await leadUntilAsked(claim, options) : await leadBeside(options);
      deafSince = undefined;
      if (!successor) continue;
      mayAsk = false;
      connections.push(successor);
      await waitForSuccessor(successor, options);
      continue;
    }
    if (!holder || isDeaf) {
      holder?.close();
      await sleep(PAUSE_MS, stop);
      continue;
    }
    connections.push(holder);
    if (mayAsk && holder.kind === 'agent') {
      mustBePredecessor(holder.agent!, options.self);
      const asked = await askToStepDown(holder, options);
      if (asked) mayAsk = false;
      // The connection stays open: our predecessor leads again when it ends.
      if (asked === 'granted') continue;
      // For the same reason this one must end: a late answer would leave the node without a leader.
      if (asked === 'late') {
        close(holder);
        continue;
      }
    }
    if ((holder.kind === 'unreadable' || holder.kind === 'silent') && !warned.has(holder.description)) {
      warned.add(holder.description);
      warn(
        `${holder.description} leads this node and cannot be asked to step down, so this agent leads once it has ended`,
      );
    }
    await Promise.race([holder.ended, stopped]);
    close(holder);
    // The lock may be free a moment later than the connection ends.
    await sleep(PAUSE_MS, stop);
  }
}

/**
 * Leads for one action that is not an agent's loop.
 * @throws Error with `code` EBUSY if an agent leads the node
 */
export async function leadFor<T>(
  { channel, warn }: Pick<LeadershipOptions, 'channel' | 'warn'>,
  action: () => Promise<T>,
): Promise<T> {
  const claim = await channel.claim();
  const holder = claim ? undefined : await channel.contact();
  holder?.close();
  if (holder?.kind === 'stranger' || holder?.kind === 'deaf') warn(strangerWarning(holder));
  else if (holder)
    throw codedError(
      'EBUSY',
      `an agent runs on this node (${holder.description}) and would act against this command: stop it first, or delete its pod's DaemonSet`,
    );
  try {
    return await action();
  } finally {
    claim?.release();
  }
}

/** @returns the agent for which this one stopped; undefined if the signal stopped it */
async function leadUntilAsked(
  claim: Claim,
  { lead, stop }: Pick<LeadershipOptions, 'lead' | 'stop'>,
): Promise<Successor | undefined> {
  const asked = new AbortController();
  let successor: Successor | undefined;
  void claim.asked.then(agent => {
    successor = agent;
    asked.abort();
  });
  try {
    await lead(AbortSignal.any([stop, asked.signal]));
  } finally {
    claim.release();
  }
  if (!stop.aborted) return successor;
  successor?.close();
  return undefined;
}

/**
 * Leads without the lock, and takes it once it is free. Ends if another agent took it first.
 * @returns the agent for which this one stopped
 */
async function leadBeside({ channel, lead, stop, sleep }: LeadershipOptions): Promise<Successor | undefined> {
  const over = new AbortController();
  const yields = new AbortController();
  const signal = AbortSignal.any([stop, over.signal]);
  const term = lead(AbortSignal.any([stop, yields.signal])).finally(() => over.abort());
  // A failure is thrown below.
  term.catch(() => {});
  while (!signal.aborted) {
    await sleep(CLAIM_AGAIN_MS, signal);
    if (signal.aborted) break;
    const claim = await channel.claim();
    if (claim) return leadUntilAsked(claim, { stop, lead: asked => endWhen(asked, yields, term) });
    const holder = await channel.contact();
    holder?.close();
    if (holder?.kind === 'agent') yields.abort();
  }
  await term;
  return undefined;
}

/** Goes on with a term of leadership until the signal. */
async function endWhen(signal: AbortSignal, yields: AbortController, term: Promise<void>): Promise<void> {
  if (signal.aborted) yields.abort();
  else signal.addEventListener('abort', () => yields.abort(), { once: true });
  await term;
}

/** Waits for the end of our successor, or for our own. The node and its device are not ours now. */
async function waitForSuccessor({ agent, ended, grant }: Successor, options: LeadershipOptions): Promise<void> {
  const { stop, log } = options;
  log(`stepped down for the agent of ${describeAgent(agent)}, which takes the tunnel over; waiting to be ended`);
  grant();
  await Promise.race([ended, whenAborted(stop)]);
  if (!stop.aborted) log(`the agent of ${describeAgent(agent)} has ended, so this agent leads the node again`);
}

/** @returns undefined if the leader, or this agent, ended before it could be asked or answered */
async function askToStepDown(
  holder: Holder,
  { prepare, stop, sleep, log, warn }: LeadershipOptions,
): Promise<'granted' | 'refused' | 'late' | undefined> {
  log(`an agent leads this node (${holder.description}); this one takes over once it has read and planned the cluster`);
  const ended = new AbortController();
  void holder.ended.then(() => ended.abort());
  await prepare(AbortSignal.any([stop, ended.signal]));
  if (stop.aborted || ended.signal.aborted) return undefined;
  const answered = new AbortController();
  const late = sleep(ANSWER_MS, AbortSignal.any([stop, answered.signal])).then(() => 'late' as const);
  const answer = await Promise.race([holder.askToStepDown().then(refusal => ({ refusal })), late]);
  answered.abort();
  if (stop.aborted) return undefined;
  if (answer !== 'late' && answer.refusal === undefined) return 'granted';
  const why = answer === 'late' ? `it has not answered for ${ANSWER_MS / 1000} s` : answer.refusal;
  warn(`the agent that leads this node does not step down: ${why}; waiting for its end`);
  return answer === 'late' ? 'late' : 'refused';
}

function strangerWarning(holder: Holder | undefined): string {
  return `${holder?.description ?? 'a process that does not listen'} has taken the name by which the agents of a node find each other; this agent runs without it. End that process: two agents could now run on this node`;
}

function mustBePredecessor(agent: AgentIdentity, self: AgentIdentity): void {
  if (agent.pidNamespace === self.pidNamespace)
    throw codedError(
      'EBUSY',
      `an agent already runs on this node: ${describeAgent(agent)}. Stop it first (systemctl stop wgts-calico, or Ctrl-C in its terminal)`,
    );
  if (agent.stateDirectory !== self.stateDirectory)
    throw codedError(
      'EBUSY',
      `an agent with another --key-dir already runs on this node: ${describeAgent(agent)}. Stop it first, or give both the same folder, so that the node keeps its key`,
    );
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
