/**
 * What a process may send to one that runs a device, over the real socket of a hand-over: the
 * messages of one that takes the device, in any order, changed, cut or doubled, with descriptors,
 * with the token claimed too early, and silence. The process that runs the device may also have to
 * stop at any point. Exactly one process has the device at the end; this one goes on with the
 * same settings, with new sessions if it said that it has erased the old ones; no descriptor stays
 * open. WG_FUZZ_RUNS (2000 at most) and WG_FUZZ_SEED as in support/seeded-cases.ts.
 */
import { closeSync, mkdtempSync, openSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeHello } from '../../src/daemon/hand-over-greeting.ts';
import { HandOverServer } from '../../src/daemon/hand-over-server.ts';
import { handOverPath } from '../../src/daemon/uapi-socket.ts';
import { RightsSocket } from '../../src/io/rights.ts';
import { disturbed, message, openDescriptors, type Piece, RawEnd } from '../support/hand-over-wire.ts';
import { HandedDevice, turn, turnsUntil } from '../support/handed-device.ts';
import { seeded } from '../support/random.ts';
import { CASES, SEED } from '../support/seeded-cases.ts';

const RUNS = Math.max(50, Math.min(2000, Math.floor(CASES / 100)));
/** More than each time limit of an exchange. */
const LONGER_MS = 61_000;
const LIMIT_MS = 600_000;
const ANSWER_TURNS = 12;
/** What may happen to a device in one exchange. */
const WAYS = ['', 'freeze thaw', 'freeze eraseKeys restart', 'freeze eraseKeys finish'] as const;
type Way = (typeof WAYS)[number];

let folder: string;
let any: number;
const thrown: unknown[] = [];
const onThrown = (error: unknown) => void thrown.push(error);
const log = { verbose: () => {}, error: vi.fn((_text: string) => {}) };

// Node opens one descriptor for its first watcher of a file, and keeps it
beforeAll(() => watch(tmpdir()).close());

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  process.on('uncaughtException', onThrown).on('unhandledRejection', onThrown);
  folder = mkdtempSync(join(tmpdir(), 'hand-over-fuzz-'));
  any = openSync('/dev/null', 'r');
  log.error.mockClear();
});

afterEach(() => {
  thrown.length = 0;
  process.off('uncaughtException', onThrown).off('unhandledRejection', onThrown);
  closeSync(any);
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

const advance = (ms: number) => void vi.advanceTimersByTime(ms);

/** The messages of a process that takes the device, as an honest one sends them. */
const honest = (): Piece[] => [
  { bytes: message('hello', makeHello('new')), descriptors: 0 },
  { bytes: message('ready'), descriptors: 0 },
  { bytes: message('received'), descriptors: 0 },
  { bytes: message('running'), descriptors: 0 },
];

interface Attempt {
  readonly script: readonly Piece[];
  /** Before which piece the token is claimed; an honest process does so before the last one. */
  readonly claimAt: number;
  readonly isHasty?: boolean;
  /** Whether the other end says nothing more after its script, before it closes. */
  readonly isSilent?: boolean;
  /** Before which piece the process has to stop. */
  readonly stopAt?: number;
  readonly seed: number;
}

/** Lets the other process follow its script, to the end of the exchange. Returns what happened. */
async function attempt({ script, claimAt, isHasty, isSilent, stopAt, seed }: Attempt): Promise<Way> {
  const before = openDescriptors();
  const device = new HandedDevice({ folder, random: seeded(seed) });
  const server = new HandOverServer({
    controlPath: device.controlPath,
    device: await device.serve(),
    program: 'old',
    log,
  });
  await device.ping(advance);
  const { settings } = device;
  const taker = new RawEnd(RightsSocket.connect(handOverPath(device.controlPath)), any);
  let [hasClaimed, hasSettled] = [false, stopAt === undefined];
  const stop = () => void server.settled().then(() => (hasSettled = true));
  for (const [number, piece] of script.entries()) {
    if (number === claimAt) hasClaimed = taker.claim();
    if (number === stopAt) stop();
    taker.send(piece);
    const had = taker.kinds.length;
    for (let n = 0; !isHasty && n < ANSWER_TURNS && !taker.hasEnded && taker.kinds.length === had; n++) await turn();
  }
  if (stopAt !== undefined && stopAt >= script.length) stop();
  for (let n = 0; isSilent && n < 4; n++) {
    for (let turns = 0; turns < ANSWER_TURNS; turns++) await turn();
    advance(LONGER_MS);
  }
  const hasErased = taker.kinds.includes('erased');
  taker.close();
  // an exchange may still wait for clients of the control socket, which have a time limit
  for (let turns = 0; turns < ANSWER_TURNS; turns++) await turn();
  advance(LONGER_MS);
  for (let turns = 0; turns < ANSWER_TURNS; turns++) await turn();
  const wayNow = () => device.calls.join(' ') as Way;
  await turnsUntil('the exchange is decided', () => hasSettled && WAYS.includes(wayNow()));

  const way = wayNow();
  if (hasErased) expect(way).toMatch(/eraseKeys/);
  if (way.endsWith('finish')) {
    const toldSo = taker.sentKinds.includes('running') && taker.sentKinds.includes('received');
    expect(hasClaimed || toldSo, 'only a process that has it, or says so, gets the device').toBe(true);
  } else {
    // it still runs, with all its settings
    await device.ping(advance);
    expect(device.settings).toBe(settings);
  }
  server.close();
  device.close(way.endsWith('finish'));
  await turnsUntil('the descriptors are closed', () => openDescriptors() <= before);
  expect(thrown).toEqual([]);
  for (const [text] of log.error.mock.calls) {
    expect(text).toMatch(/^[ -~]{1,600}$/);
    expect(text).not.toMatch(/undefined|Cannot read properties|is not a function|is not iterable/);
  }
  return way;
}

describe('the giver of a hand-over', () => {
  test('gives the device to an honest process', async () => {
    expect(await attempt({ script: honest(), claimAt: 3, seed: 1 })).toBe('freeze eraseKeys finish');
  });

  test.each([
    [0, ''],
    [1, ''],
    [2, 'freeze thaw'],
    [3, 'freeze eraseKeys restart'],
  ])('goes on if the other process dies after %i messages', async (count, way) => {
    expect(await attempt({ script: honest().slice(0, count), claimAt: -1, seed: 1 })).toBe(way);
    expect(await attempt({ script: honest().slice(0, count), claimAt: -1, isSilent: true, seed: 1 })).toBe(way);
  });

  test.each([
    ['a message out of place', message('hello')],
    ['a message that does not exist', Uint8Array.of(0, 0, 0, 0, 99)],
    ['half a message', Uint8Array.of(0, 0)],
  ])('goes on if the other process claims the token, sends %s and dies', async (_what, bytes) => {
    const script = [...honest().slice(0, 3), { bytes, descriptors: 0 }];
    expect(await attempt({ script, claimAt: 3, seed: 1 })).toBe('freeze eraseKeys restart');
  });

  test('survives any script', { timeout: LIMIT_MS }, async () => {
    const tally: Partial<Record<Way, number>> = {};
    for (let number = 0; number < RUNS; number++) {
      const seed = (SEED + Math.imul(number, 0x9e3779b1)) >>> 0;
      const random = seeded(seed);
      try {
        const script = random.chance(0.3) ? honest() : disturbed(honest(), random);
        if (random.chance(0.3)) script.splice(random.below(script.length + 1));
        const way = await attempt({
          script,
          claimAt: random.pick([3, 3, -1, random.below(5)]),
          isHasty: random.chance(0.2),
          isSilent: random.chance(0.3),
          ...(random.chance(0.3) && { stopAt: random.below(5) }),
          seed,
        });
        tally[way] = (tally[way] ?? 0) + 1;
      } catch (error) {
        (error as Error).message += `\n(case ${number} of WG_FUZZ_SEED=${SEED})`;
        throw error;
      }
    }
    console.log(`the giver: WG_FUZZ_SEED=${SEED}, ${RUNS} scripts: ${JSON.stringify(tally)}`);
    for (const way of WAYS) expect(tally[way]).toBeGreaterThan(0);
  });
});
