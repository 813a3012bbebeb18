/**
 * What a process may answer to one that wants its device, over the real socket of a hand-over:
 * other offers, a state with any change, cut at every byte, of another size, and the wrong
 * descriptors. The attempt ends; it throws an error for people, or the device runs. Of the two
 * processes exactly one has the token, the state is erased, and no descriptor stays open.
 * WG_FUZZ_RUNS (2000 at most) and WG_FUZZ_SEED as in support/seeded-cases.ts.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type DaemonBackend, makeBackend } from '../../src/daemon/backend.ts';
import { decodeDeviceState, encodeDeviceState } from '../../src/daemon/device-state.ts';
import { makeOffer } from '../../src/daemon/hand-over-greeting.ts';
import { offloadsWithout } from '../../src/daemon/offloads.ts';
import { takeOver } from '../../src/daemon/take-over.ts';
import { TakenDevice } from '../../src/daemon/taken-device.ts';
import { RightsListener, type RightsSocket, RunToken } from '../../src/io/rights.ts';
import { checkEngineState } from '../../src/protocol/engine-state-check.ts';
import { disturbed, message, openDescriptors, type Piece, RawEnd } from '../support/hand-over-wire.ts';
import { HandedDevice, turn, turnsUntil } from '../support/handed-device.ts';
import { type Random, seeded } from '../support/random.ts';
import { CASES, SEED } from '../support/seeded-cases.ts';
import { mutate } from '../support/state-mutations.ts';

const RUNS = Math.max(50, Math.min(2000, Math.floor(CASES / 100)));
/** More than each time limit of an attempt. */
const LONGER_MS = 11_000;
const LIMIT_MS = 600_000;
const ANSWER_TURNS = 12;
/** Descriptors of a state: the control socket, the TUN and one UDP socket. */
const STATE_DESCRIPTORS = 3;
const QUIET = { verbose: () => {}, error: () => {} };

let folder: string;
let any: number;
let device: HandedDevice;
let state: Uint8Array;
let native: DaemonBackend;
let listener: RightsListener;
/** The connection of the attempt; later ones only ask who listens. */
let giver: RawEnd | undefined;
const thrown: unknown[] = [];
const onThrown = (error: unknown) => void thrown.push(error);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  process.on('uncaughtException', onThrown).on('unhandledRejection', onThrown);
  folder = mkdtempSync(join(tmpdir(), 'take-over-fuzz-'));
  any = openSync('/dev/null', 'r');
  native = makeBackend('native', offloadsWithout(new Set()));
  device = new HandedDevice({ folder, random: seeded(1) });
  const given = await device.serve();
  await device.ping(ms => void vi.advanceTimersByTime(ms));
  state = given.freeze().state;
  given.thaw();
  listener = new RightsListener(join(folder, 'giver'));
  listener.onConnection(
    socket => accept(socket),
    error => void thrown.push(error),
  );
});

afterEach(() => {
  thrown.length = 0;
  process.off('uncaughtException', onThrown).off('unhandledRejection', onThrown);
  listener.close();
  device.close(false);
  closeSync(any);
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

function accept(socket: RightsSocket): void {
  if (giver) socket.close();
  else giver = new RawEnd(socket, any);
}

/** Returns the state with null in one field. */
function withNull(name: 'engine' | 'loop' | 'control'): Uint8Array {
  const decoded = decodeDeviceState(state.slice());
  let reads = 0;
  const changed = Object.defineProperty({ ...decoded }, name, {
    enumerable: true,
    // the first read is for the bytes, the second one for the version in their header
    get: () => (reads++ === 0 ? null : decoded[name]),
  });
  return encodeDeviceState(changed);
}

/** Returns the state with a change that its structure survives, or any other one. */
function changedState(random: Random): Uint8Array {
  const way = random.below(4);
  if (way === 0) return state.slice();
  if (way === 1) {
    try {
      return encodeDeviceState(mutate(decodeDeviceState(state.slice()), random) as never);
    } catch {
      // some values cannot be written
    }
  }
  if (way === 2) return state.slice(0, random.below(state.length + 1));
  const bytes = state.slice();
  // the beginning has the versions and the structure
  const most = random.chance(0.5) ? 64 : bytes.length;
  for (let times = 1 + random.below(6); times > 0; times--) bytes[random.below(most)] = random.below(256);
  return bytes;
}

interface Outcome {
  readonly code: string;
  readonly hasToken: boolean;
}

interface Attempt {
  readonly script: readonly Piece[];
  readonly token: RunToken;
  readonly isHasty?: boolean;
  /** Whether the other end says nothing more after its script, instead of closing. */
  readonly isSilent?: boolean;
  /** Uses the adapters of the addon, which look at the descriptors. */
  readonly isNative?: boolean;
}

/** Runs an attempt against a script of answers, to its end. */
async function attempt({ script, token, isHasty, isSilent, isNative }: Attempt): Promise<Outcome> {
  let [taken, runs, discards]: [TakenDevice | undefined, number, number] = [undefined, 0, 0];
  let body: Uint8Array | undefined;
  giver = undefined;
  const backend = {
    ...native,
    openUdp: (port: number) => device.openUdp(port),
    ...(!isNative && { adopt: device.adopt }),
  };
  const parts = { backend, clock: device.clock, log: QUIET, onGone: () => {}, engineOptions: device.engineOptions() };
  let code: string | undefined;
  void takeOver({
    path: join(folder, 'giver'),
    program: 'new',
    warmUp: () => {},
    build: (bytes, descriptors) => {
      body = bytes;
      taken = new TakenDevice(parts, bytes, descriptors);
    },
    goLive: hasSessions => {
      runs++;
      taken!.goLive(hasSessions);
    },
    discard: () => {
      discards++;
      taken?.discard();
    },
  }).then(
    () => {
      code = 'runs';
    },
    (error: NodeJS.ErrnoException) => {
      code = error.code ?? `no code: ${error.message}`;
      expect(error.message).toMatch(/^[ -~]{1,600}$/);
      expect(error.message).not.toMatch(/undefined|Cannot read properties|is not a function|is not iterable/);
    },
  );
  await turnsUntil('the connection', () => giver !== undefined);
  for (let n = 0; n < ANSWER_TURNS && giver!.kinds.length === 0; n++) await turn();
  for (const piece of script) {
    giver!.send(piece);
    const had = giver!.kinds.length;
    for (let n = 0; !isHasty && n < ANSWER_TURNS && !giver!.hasEnded && giver!.kinds.length === had; n++) await turn();
  }
  for (let n = 0; isSilent && n < 4 && code === undefined; n++) {
    for (let turns = 0; turns < ANSWER_TURNS; turns++) await turn();
    vi.advanceTimersByTime(LONGER_MS);
  }
  if (isSilent) await turnsUntil('an attempt ends by its time limit', () => code !== undefined);
  giver!.close();
  await turnsUntil('the attempt ends', () => code !== undefined);
  const hasToken = !token.claim();
  expect({ runs, discards }).toEqual(code === 'runs' ? { runs: 1, discards: 0 } : { runs: 0, discards: 1 });
  if (body)
    expect(
      body.every(byte => byte === 0),
      'the state is erased',
    ).toBe(true);
  if (code === 'runs') taken!.discard();
  return { code: code!, hasToken };
}

/** The messages of a process that gives its device, as an honest one sends them. */
function honest(bytes: Uint8Array, token: RunToken): Piece[] {
  const descriptors = [token.descriptor, ...new Array<number>(STATE_DESCRIPTORS).fill(any)];
  return [
    { bytes: message('offer', makeOffer('old')), descriptors: 0 },
    { bytes: message('state', bytes), descriptors },
    { bytes: message('erased'), descriptors: 0 },
  ];
}

/** Runs an attempt with a token of its own, and checks that nothing is left of it. */
async function whole(make: (token: RunToken) => Omit<Attempt, 'token'>): Promise<string> {
  const before = openDescriptors();
  const token = new RunToken();
  const { code, hasToken } = await attempt({ ...make(token), token });
  token.close();
  expect(thrown).toEqual([]);
  expect(['runs', 'ENOOWNER', 'EREFUSED']).toContain(code);
  expect(hasToken, 'the process that has the token runs the device').toBe(code === 'runs');
  await turnsUntil('the descriptors are closed', () => openDescriptors() <= before);
  return code;
}

describe('the taker of a hand-over', () => {
  test('takes the device from an honest process', async () => {
    expect(await whole(token => ({ script: honest(state, token) }))).toBe('runs');
  });

  test('refuses every beginning of a state', () => {
    for (let length = 0; length < state.length; length++)
      expect(() => checkEngineState(decodeDeviceState(state.slice(0, length)).engine), `${length} bytes`).toThrow();
  });

  test.each([0, 1, 2, 3, 5, 16])('refuses a state with %i descriptors', async count => {
    const script = (token: RunToken) => {
      const [offer, given, erased] = honest(state, token);
      const descriptors = count === 0 ? 0 : [token.descriptor, ...new Array<number>(count - 1).fill(any)];
      return [offer!, { ...given!, descriptors }, erased!];
    };
    expect(await whole(token => ({ script: script(token) }))).toBe('EREFUSED');
  });

  test.each(['engine', 'loop', 'control'] as const)('refuses a state whose %s is null', async name => {
    const changed = withNull(name);
    expect(await whole(token => ({ script: honest(changed, token) }))).toBe('EREFUSED');
  });

  test('refuses descriptors that are neither a TUN nor UDP sockets', async () => {
    expect(await whole(token => ({ script: honest(state, token), isNative: true }))).toBe('EREFUSED');
  });

  test('survives any script', { timeout: LIMIT_MS }, async () => {
    const tally: Record<string, number> = {};
    for (let number = 0; number < RUNS; number++) {
      const random = seeded((SEED + Math.imul(number, 0x9e3779b1)) >>> 0);
      try {
        const code = await whole(token => {
          const script = honest(changedState(random), token);
          return {
            script: random.chance(0.5) ? script : disturbed(script, random),
            isHasty: random.chance(0.2),
            isSilent: random.chance(0.2),
            isNative: random.chance(0.1),
          };
        });
        tally[code] = (tally[code] ?? 0) + 1;
      } catch (error) {
        (error as Error).message += `\n(case ${number} of WG_FUZZ_SEED=${SEED})`;
        throw error;
      }
    }
    console.log(`the taker: WG_FUZZ_SEED=${SEED}, ${RUNS} scripts: ${JSON.stringify(tally)}`);
    for (const code of ['runs', 'EREFUSED']) expect(tally[code]).toBeGreaterThan(0);
  });
});
