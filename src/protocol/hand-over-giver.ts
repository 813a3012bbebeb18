/**
 * The side of a hand-over that has the device: which step follows which input, without any input or
 * output. {@link TAKER_START} begins the other side.
 *
 * One device moves between two processes on one machine. Three rules hold at each point where
 * either process may die or stop:
 *
 * - One token exists for each hand-over, and only its holder may run the device. The kernel keeps
 *   the token (a byte in a pipe) and gives it to the process that claims it first.
 * - The giver sends `erased` after its session keys are gone. Only then may the taker use them.
 * - A taker that claims the token without `erased` makes new sessions.
 */

/** One step of a side: its next state, and what it does on the way there, in order. */
export interface HandOverStep<State, Action> {
  readonly next: State;
  readonly actions: readonly Action[];
}

/** What the giver waits for. */
type GiverPhase = 'hello' | 'ready' | 'received' | 'takingBack' | 'running' | 'restarting' | 'over';

export interface Giver {
  readonly phase: GiverPhase;
  /** Whether the taker has died, so that a token that it claimed has no holder. */
  readonly isTakerGone: boolean;
  /** Whether the current phase ends at its time limit. */
  readonly isLimited: boolean;
}

/** A message of the taker, or what became of one of our own actions. */
export type GiverInput =
  | 'hello'
  | 'ready'
  | 'received'
  | 'running'
  /** The taker's greeting cannot be accepted. */
  | 'unfit'
  /** A message that is wrong here, or not a message; also a failure of one of our own actions. */
  | 'broken'
  /** The connection has ended: the taker closed it, or died. */
  | 'end'
  | 'timeout'
  /** Results of the action `claim`. */
  | 'claimed'
  | 'lost';

export type GiverAction =
  | 'sendOffer'
  | 'sendRefusal'
  /** Stop reading, and freeze the engine. */
  | 'freeze'
  /** Send the state and the descriptors, and with them access to the token. */
  | 'sendState'
  /** Erase all session keys. The configuration stays until the end. */
  | 'erase'
  | 'sendErased'
  /** Claim the token; the result is the next input. */
  | 'claim'
  /** Go on with the frozen engine. */
  | 'thaw'
  /** Go on with the same configuration and descriptors, but with new sessions. */
  | 'restart'
  /** End this process without touching what now belongs to the taker. */
  | 'finish'
  | 'close';

type Step = HandOverStep<Giver, GiverAction>;

export const GIVER_START: Giver = { phase: 'hello', isTakerGone: false, isLimited: true };

/** Returns the giver's next state, and what it does on the way there, in order. */
export function stepGiver(giver: Giver, input: GiverInput): Step {
  switch (giver.phase) {
    case 'hello':
      if (input === 'hello') return to('ready', 'sendOffer');
      return input === 'unfit' ? to('over', 'sendRefusal', 'close') : to('over', 'close');
    case 'ready':
      return input === 'ready' ? to('received', 'freeze', 'sendState') : to('over', 'close');
    case 'received':
      return input === 'received' ? to('running', 'erase', 'sendErased') : to('takingBack', 'claim');
    case 'takingBack':
      // the taker claims the token only if we are dead, so `lost` does not occur; it must not run
      // twice
      return input === 'claimed' ? to('over', 'thaw', 'close') : to('over', 'erase', 'finish');
    case 'running':
      return afterErased(giver, input);
    case 'restarting':
      if (input === 'claimed' || giver.isTakerGone) return to('over', 'restart', 'close');
      // it runs the device, although it has not said so yet
      return { next: { phase: 'running', isTakerGone: false, isLimited: false }, actions: [] };
    case 'over':
      return { next: giver, actions: [] };
  }
}

/**
 * Whether an action tells the taker something, which is not true if an action before it failed.
 */
export function isMessage(action: GiverAction): boolean {
  return action.startsWith('send');
}

function afterErased(giver: Giver, input: GiverInput): Step {
  if (input === 'running') return to('over', 'finish');
  // without a limit, the taker has the token: a message out of place does not change that
  if (!giver.isLimited && input !== 'end') return { next: giver, actions: [] };
  return { next: { phase: 'restarting', isTakerGone: input === 'end', isLimited: true }, actions: ['claim'] };
}

function to(phase: GiverPhase, ...actions: GiverAction[]): Step {
  return { next: { phase, isTakerGone: false, isLimited: true }, actions };
}
