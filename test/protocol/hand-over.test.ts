/**
 * Both sides of a hand-over, in every order of deliveries, deaths, closed connections and time
 * limits that can happen. Searches all states that the two processes, the socket and the token can
 * reach together.
 */
import { expect, test } from 'vitest';
import {
  GIVER_START,
  type Giver,
  type GiverAction,
  type GiverInput,
  isMessage,
  stepGiver,
} from '../../src/protocol/hand-over-giver.ts';
import { stepTaker, TAKER_START, type TakerInput, type TakerPhase } from '../../src/protocol/hand-over-taker.ts';

/** What a process does with the device: runs it, holds it frozen, or neither. */
type Hold = 'runs' | 'frozen' | 'none';

interface World {
  readonly giver: Giver;
  readonly taker: TakerPhase;
  readonly giverLives: boolean;
  readonly takerLives: boolean;
  readonly giverHolds: Hold;
  readonly takerHolds: Hold;
  /** Who has the session keys that the device had at the start. */
  readonly giverKeys: boolean;
  readonly takerKeys: boolean;
  /** Whether the taker received access to the token; it cannot claim before. */
  readonly takerSees: boolean;
  readonly tokenLeft: boolean;
  readonly toGiver: readonly string[];
  readonly toTaker: readonly string[];
  readonly giverOpen: boolean;
  readonly takerOpen: boolean;
  /** Whether `erased` was sent. */
  readonly told: boolean;
  /** Broken rules that only the way here shows. */
  readonly wrong: string;
}

const START: World = {
  giver: GIVER_START,
  taker: TAKER_START,
  giverLives: true,
  takerLives: true,
  giverHolds: 'runs',
  takerHolds: 'none',
  giverKeys: true,
  takerKeys: false,
  takerSees: false,
  tokenLeft: true,
  toGiver: ['hello'],
  toTaker: [],
  giverOpen: true,
  takerOpen: true,
  told: false,
  wrong: '',
};

/** Actions of the giver that can fail. A token that was not made cannot be claimed by another. */
const CAN_FAIL: readonly GiverAction[] = ['sendOffer', 'freeze', 'sendState', 'erase', 'sendErased'];

/**
 * Applies an input to the giver, and what it does to the world.
 * @param failing the action that fails. Its messages are then left out, as in hand-over-server.ts
 */
function feedGiver(before: World, input: GiverInput, failing?: GiverAction): World {
  const { next, actions } = stepGiver(before.giver, input);
  let world: World = { ...before, giver: next };
  const say = (message: string) => {
    // a send to a closed end fails; the end of the connection is an input of its own
    if (world.takerOpen && world.giverOpen) world = { ...world, toTaker: [...world.toTaker, message] };
  };
  let hasFailed = false;
  for (const action of actions) {
    if (hasFailed && isMessage(action)) continue;
    if (action === failing) {
      hasFailed = true;
      continue;
    }
    if (action === 'sendOffer') say('offer');
    if (action === 'sendRefusal') say('refusal');
    if (action === 'freeze') world = { ...world, giverHolds: 'frozen' };
    if (action === 'sendState') say('state');
    if (action === 'erase') world = { ...world, giverKeys: false };
    if (action === 'sendErased') {
      if (world.giverKeys) world = { ...world, wrong: 'said erased with keys left' };
      world = { ...world, told: true };
      say('erased');
    }
    if (action === 'claim') {
      const won = world.tokenLeft;
      world = feedGiver({ ...world, tokenLeft: false }, won ? 'claimed' : 'lost');
    }
    if (action === 'thaw') {
      if (!world.giverKeys) world = { ...world, wrong: 'thawed without keys' };
      world = { ...world, giverHolds: 'runs' };
    }
    // a new engine, also if the keys of the old one could not be erased before
    if (action === 'restart') world = { ...world, giverHolds: 'runs', giverKeys: false };
    if (action === 'close') world = { ...world, giverOpen: false };
    if (action === 'finish')
      world = { ...world, giverOpen: false, giverHolds: 'none', giverKeys: false, giverLives: false };
  }
  return hasFailed ? feedGiver(world, 'broken') : world;
}

function feedTaker(before: World, input: TakerInput): World {
  const { next, actions } = stepTaker(before.taker, input);
  let world: World = { ...before, taker: next };
  const say = (message: string) => {
    if (world.takerOpen && world.giverOpen) world = { ...world, toGiver: [...world.toGiver, message] };
  };
  for (const action of actions) {
    if (action === 'sendReady') say('ready');
    if (action === 'check') world = { ...world, takerKeys: true, takerSees: true };
    if (action === 'sendReceived') say('received');
    if (action === 'claim') {
      const won = world.takerSees && world.tokenLeft;
      world = feedTaker({ ...world, tokenLeft: world.tokenLeft && !won }, won ? 'claimed' : 'lost');
    }
    if (action === 'goLive') {
      if (!world.told) world = { ...world, wrong: 'used keys without a message `erased`' };
      world = { ...world, takerHolds: 'runs' };
    }
    if (action === 'recover') world = { ...world, takerHolds: 'runs', takerKeys: false };
    if (action === 'sendRunning') say('running');
    if (action === 'close') world = { ...world, takerOpen: false };
    if (action === 'fail') world = { ...world, takerHolds: 'none', takerKeys: false, takerLives: false };
  }
  return world;
}

/** Returns what can happen next, by name. */
function* successors(world: World): Generator<[string, World]> {
  const { giver, taker, toGiver, toTaker } = world;
  if (world.giverLives) {
    if (world.giverOpen && toGiver.length > 0) {
      const [message, ...rest] = toGiver as [GiverInput, ...string[]];
      yield [`giver gets ${message}`, feedGiver({ ...world, toGiver: rest }, message)];
      for (const action of CAN_FAIL)
        if (stepGiver(giver, message).actions.includes(action))
          yield [
            `giver gets ${message} and fails to ${action}`,
            feedGiver({ ...world, toGiver: rest }, message, action),
          ];
      if (message === 'hello') yield ['giver refuses', feedGiver({ ...world, toGiver: rest }, 'unfit')];
    } else if (world.giverOpen && !world.takerOpen) yield ['giver sees the end', feedGiver(world, 'end')];
    if (giver.phase !== 'over' && giver.isLimited) yield ['giver waits no longer', feedGiver(world, 'timeout')];
    if (giver.phase !== 'over' && world.giverOpen) yield ['giver gets nonsense', feedGiver(world, 'broken')];
    yield ['giver is killed', { ...world, giverLives: false, giverOpen: false, giverHolds: 'none', giverKeys: false }];
  }
  if (world.takerLives) {
    if (taker === 'warm') yield ['taker is warm', feedTaker(world, 'warm')];
    if (taker === 'checked') {
      yield ['taker accepts', feedTaker(world, 'checked')];
      yield ['taker rejects', feedTaker(world, 'broken')];
    }
    if (world.takerOpen && taker !== 'checked' && taker !== 'warm') {
      if (toTaker.length > 0) {
        const [message, ...rest] = toTaker as [TakerInput, ...string[]];
        yield [`taker gets ${message}`, feedTaker({ ...world, toTaker: rest }, message)];
      } else if (!world.giverOpen) yield ['taker sees the end', feedTaker(world, 'end')];
    }
    if (taker !== 'running' && world.takerOpen) yield ['taker waits no longer', feedTaker(world, 'timeout')];
    yield ['taker is killed', { ...world, takerLives: false, takerOpen: false, takerHolds: 'none', takerKeys: false }];
  }
}

/** Returns which rule a world breaks. */
function broken(world: World): string | undefined {
  if (world.wrong) return world.wrong;
  if (world.giverHolds === 'runs' && world.takerHolds === 'runs') return 'two owners';
  if (world.takerHolds === 'runs' && world.takerKeys && world.giverKeys) return 'both have the keys, and one uses them';
  return undefined;
}

/** A world in which nothing but a death can happen any more. */
function brokenAtRest(world: World): string | undefined {
  const { giverLives, takerLives, giverHolds, takerHolds } = world;
  if (giverLives && giverHolds === 'frozen') return 'frozen for ever';
  if (giverLives && takerHolds !== 'runs' && giverHolds !== 'runs')
    return 'the giver lives, and no process runs the device';
  if (takerLives && takerHolds !== 'runs') return 'the taker neither runs the device nor ended';
  return undefined;
}

function explore(): { worlds: number; problems: string[] } {
  const seen = new Map<string, string>([[JSON.stringify(START), '']]);
  const queue: World[] = [START];
  const problems: string[] = [];
  for (let world = queue.shift(); world; world = queue.shift()) {
    const way = seen.get(JSON.stringify(world))!;
    const found = broken(world);
    if (found !== undefined) problems.push(`${found}: ${way}`);
    let isAtRest = true;
    for (const [name, next] of successors(world)) {
      if (!/is killed$/.test(name)) isAtRest = false;
      const key = JSON.stringify(next);
      if (seen.has(key)) continue;
      seen.set(key, `${way}; ${name}`);
      queue.push(next);
    }
    const atRest = isAtRest ? brokenAtRest(world) : undefined;
    if (atRest !== undefined) problems.push(`${atRest}: ${way}`);
  }
  return { worlds: seen.size, problems };
}

test('at most one process runs the device, keys change hands only once erased, and it always converges', () => {
  const { worlds, problems } = explore();
  expect(problems.slice(0, 5)).toEqual([]);
  // all phases of both sides combine with deaths and queues; far fewer would mean that the search
  // is broken
  expect(worlds).toBeGreaterThan(100);
});

test('without a disturbance, the taker runs the device with its sessions, and the giver ends', () => {
  let world = START;
  for (let steps = 0; steps < 20; steps++) {
    const next = [...successors(world)].find(([name]) => / gets (?!nonsense)\w+$| is warm| accepts/.test(name));
    if (!next) break;
    world = next[1];
  }
  expect(world).toMatchObject({
    taker: 'running',
    takerHolds: 'runs',
    takerKeys: true,
    giverLives: false,
    giverKeys: false,
  });
});
