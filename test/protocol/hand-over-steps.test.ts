/**
 * What each side of a hand-over does at each step, as sequences of inputs. hand-over.test.ts
 * searches all states of both sides together for broken rules; here the messages, the ends of
 * connections and the time limits matter, which break no rule if they are missing.
 */
import { describe, expect, test } from 'vitest';
import { GIVER_START, type GiverInput, isMessage, stepGiver } from '../../src/protocol/hand-over-giver.ts';
import { stepTaker, TAKER_START, type TakerInput } from '../../src/protocol/hand-over-taker.ts';

/** Returns the giver after the inputs, and what it did on the last of them. */
function giverAfter(...inputs: readonly GiverInput[]) {
  let giver = GIVER_START;
  let actions: readonly string[] = [];
  for (const input of inputs) ({ next: giver, actions } = stepGiver(giver, input));
  return { giver, actions };
}

function takerAfter(...inputs: readonly TakerInput[]) {
  let phase = TAKER_START;
  let actions: readonly string[] = [];
  for (const input of inputs) ({ next: phase, actions } = stepTaker(phase, input));
  return { phase, actions };
}

const GIVER_INPUTS: readonly GiverInput[] = [
  'hello',
  'ready',
  'received',
  'running',
  'unfit',
  'broken',
  'end',
  'timeout',
];
const TAKER_INPUTS: readonly TakerInput[] = [
  'offer',
  'refusal',
  'state',
  'erased',
  'warm',
  'checked',
  'broken',
  'end',
  'timeout',
];
const ERASED: readonly GiverInput[] = ['hello', 'ready', 'received'];

describe('the giver', () => {
  test('offers, freezes and sends the state, erases and says so, and ends', () => {
    expect(giverAfter('hello').actions).toEqual(['sendOffer']);
    expect(giverAfter('hello', 'ready').actions).toEqual(['freeze', 'sendState']);
    expect(giverAfter(...ERASED).actions).toEqual(['erase', 'sendErased']);
    expect(giverAfter(...ERASED, 'running').actions).toEqual(['finish']);
    for (let steps = 0; steps <= ERASED.length; steps++)
      expect(giverAfter(...ERASED.slice(0, steps)).giver).toMatchObject({ isLimited: true, isTakerGone: false });
  });

  test('refuses an unfit greeting in words, and closes', () => {
    expect(giverAfter('unfit').actions).toEqual(['sendRefusal', 'close']);
    expect(giverAfter('unfit', 'hello').actions).toEqual([]);
  });

  test.each(GIVER_INPUTS.filter(input => input !== 'hello' && input !== 'unfit'))(
    'closes on %s instead of a greeting',
    input => {
      expect(giverAfter(input).actions).toEqual(['close']);
      expect(giverAfter(input, 'hello').actions).toEqual([]);
    },
  );

  test.each(GIVER_INPUTS.filter(input => input !== 'ready'))('closes on %s instead of `ready`, and runs on', input => {
    expect(giverAfter('hello', input).actions).toEqual(['close']);
    expect(giverAfter('hello', input, 'ready').actions).toEqual([]);
  });

  test.each(GIVER_INPUTS.filter(input => input !== 'received'))(
    'takes the token back on %s instead of `received`, and runs on with its sessions',
    input => {
      expect(giverAfter('hello', 'ready', input).actions).toEqual(['claim']);
      expect(giverAfter('hello', 'ready', input, 'claimed').actions).toEqual(['thaw', 'close']);
      expect(giverAfter('hello', 'ready', input, 'claimed', 'received').actions).toEqual([]);
    },
  );

  test('never runs a device whose token it has lost', () => {
    expect(giverAfter('hello', 'ready', 'timeout', 'lost').actions).toEqual(['erase', 'finish']);
    expect(giverAfter('hello', 'ready', 'timeout', 'lost', 'claimed').actions).toEqual([]);
  });

  test.each(GIVER_INPUTS.filter(input => input !== 'running'))(
    'asks for the token on %s instead of `running`, and restarts without sessions if it gets it',
    input => {
      expect(giverAfter(...ERASED, input).actions).toEqual(['claim']);
      expect(giverAfter(...ERASED, input).giver.isLimited).toBe(true);
      expect(giverAfter(...ERASED, input, 'claimed').actions).toEqual(['restart', 'close']);
      expect(giverAfter(...ERASED, input, 'claimed', 'running').actions).toEqual([]);
    },
  );

  test('waits without a limit for a late taker that has the token', () => {
    const late: readonly GiverInput[] = [...ERASED, 'timeout', 'lost'];
    expect(giverAfter(...late)).toEqual({
      giver: { phase: 'running', isTakerGone: false, isLimited: false },
      actions: [],
    });
    for (const input of ['timeout', 'broken', 'received'] as const) {
      expect(giverAfter(...late, input)).toEqual(giverAfter(...late));
      expect(giverAfter(...late, input, 'running').actions).toEqual(['finish']);
    }
    expect(giverAfter(...late, 'running', 'end').actions).toEqual([]);
  });

  test('restarts once a taker with the token has died, since a dead process holds nothing', () => {
    for (const inputs of [['end'], ['timeout', 'lost', 'end']] as const) {
      expect(giverAfter(...ERASED, ...inputs).actions).toEqual(['claim']);
      expect(giverAfter(...ERASED, ...inputs, 'lost').actions).toEqual(['restart', 'close']);
    }
  });

  test('tells the taker something by offer, refusal, state and erased only', () => {
    const all = ['sendOffer', 'sendRefusal', 'freeze', 'sendState', 'erase', 'sendErased', 'claim', 'thaw'] as const;
    expect(all.filter(isMessage)).toEqual(['sendOffer', 'sendRefusal', 'sendState', 'sendErased']);
    expect((['restart', 'finish', 'close'] as const).filter(isMessage)).toEqual([]);
  });
});

describe('the taker', () => {
  const way = ['offer', 'warm', 'state', 'checked', 'erased'] as const;

  test('warms up, checks, claims, goes live, and closes', () => {
    const did = way.map((_, i) => takerAfter(...way.slice(0, i + 1)).actions);
    expect(did).toEqual([['warmUp'], ['sendReady'], ['check'], ['sendReceived'], ['claim']]);
    expect(takerAfter(...way, 'claimed').actions).toEqual(['goLive', 'sendRunning', 'close']);
  });

  test.each(way.map((next, i) => [next, way.slice(0, i)] as const))(
    'fails and closes on anything but %s at its time',
    (next, before) => {
      for (const input of TAKER_INPUTS) {
        if (input === next || (next === 'erased' && input === 'end')) continue;
        expect(takerAfter(...before, input), input).toEqual({ phase: 'failed', actions: ['fail', 'close'] });
      }
    },
  );

  test('runs the device without its sessions if the giver died before `erased`', () => {
    const dead = [...way.slice(0, 4), 'end'] as const;
    expect(takerAfter(...dead).actions).toEqual(['claim']);
    expect(takerAfter(...dead, 'claimed')).toEqual({ phase: 'running', actions: ['recover', 'close'] });
    expect(takerAfter(...dead, 'lost').actions).toEqual(['fail', 'close']);
  });

  test('fails without the token, even after `erased`', () => {
    expect(takerAfter(...way, 'lost').actions).toEqual(['fail', 'close']);
  });

  test('does nothing more once it runs or has failed', () => {
    for (const input of TAKER_INPUTS) {
      expect(takerAfter(...way, 'claimed', input)).toEqual({ phase: 'running', actions: [] });
      expect(takerAfter('end', input)).toEqual({ phase: 'failed', actions: [] });
    }
  });
});
