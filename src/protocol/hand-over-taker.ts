/**
 * The side of a hand-over that takes the device: which step follows which input, without any input
 * or output. The rules of both sides are in hand-over-giver.ts.
 */
import type { HandOverStep } from './hand-over-giver.ts';

/** What the taker waits for. */
export type TakerPhase =
  | 'offer'
  | 'warm'
  | 'state'
  | 'checked'
  | 'erased'
  | 'claiming'
  | 'recovering'
  | 'running'
  | 'failed';

/** A message of the giver, or what became of one of our own actions. */
export type TakerInput =
  | 'offer'
  | 'refusal'
  | 'state'
  | 'erased'
  /** Results of `warmUp` and `check`. */
  | 'warm'
  | 'checked'
  /** A message that is wrong here, or not a message; also a failure of one of our own actions. */
  | 'broken'
  /** The connection has ended: the giver closed it, or died. */
  | 'end'
  | 'timeout'
  /** Results of the action `claim`. */
  | 'claimed'
  | 'lost';

export type TakerAction =
  /** Compile and load everything that the first packet needs. The giver still runs the device. */
  | 'warmUp'
  | 'sendReady'
  /** Check the state, and build the engine and the devices from it. Seal and open nothing. */
  | 'check'
  | 'sendReceived'
  /** Claim the token; the result is the next input. */
  | 'claim'
  /** Run the device with its sessions. */
  | 'goLive'
  /** Run the device, but without its sessions: the giver died before it erased its keys. */
  | 'recover'
  | 'sendRunning'
  /** Erase what was received, and end with an error. */
  | 'fail'
  | 'close';

type Step = HandOverStep<TakerPhase, TakerAction>;

/** The taker begins by sending `hello`. */
export const TAKER_START: TakerPhase = 'offer';

/** Returns the taker's next state, and what it does on the way there, in order. */
export function stepTaker(phase: TakerPhase, input: TakerInput): Step {
  switch (phase) {
    case 'offer':
      return input === 'offer' ? to('warm', 'warmUp') : FAILED;
    case 'warm':
      return input === 'warm' ? to('state', 'sendReady') : FAILED;
    case 'state':
      return input === 'state' ? to('checked', 'check') : FAILED;
    case 'checked':
      return input === 'checked' ? to('erased', 'sendReceived') : FAILED;
    case 'erased':
      if (input === 'erased') return to('claiming', 'claim');
      // only a dead giver has not claimed the token before its connection ends; one that is merely
      // late may still send `erased`
      return input === 'end' ? to('recovering', 'claim') : FAILED;
    case 'claiming':
      return input === 'claimed' ? to('running', 'goLive', 'sendRunning', 'close') : FAILED;
    case 'recovering':
      return input === 'claimed' ? to('running', 'recover', 'close') : FAILED;
    case 'running':
    case 'failed':
      return { next: phase, actions: [] };
  }
}

function to(next: TakerPhase, ...actions: TakerAction[]): Step {
  return { next, actions };
}

const FAILED: Step = to('failed', 'fail', 'close');
