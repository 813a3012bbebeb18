/**
 * However a demo ends, it leaves nothing: a signal to its process group as from a terminal, a
 * signal to any one of its processes, or a closed output; each at a random moment. DEMO_RUNS sets
 * how many, TEST_SEED which.
 *
 * @module-tag slow
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANG_MS } from '../support/patience.ts';
import { seeded } from '../support/random.ts';
import { sleep, until } from './command.ts';
import { DemoRoom, marked } from './demo-room.ts';
import { describeWith } from './needs.ts';

const RUNS = Number(process.env['DEMO_RUNS'] ?? 20);
const SEED = Number(process.env['TEST_SEED'] ?? Date.now() >>> 0);
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;
/** Milliseconds from the start that cover most of a demo. */
const SPANS = { demo: 3000, 'demo:calico': 7000 } as const;
const KINDS = ['group', 'one', 'one', 'one', 'reader'] as const;

describeWith(['root', 'tun', 'namespaces'], 'an interrupted demo leaves nothing', () => {
  let room: DemoRoom;
  beforeAll(async () => {
    room = await DemoRoom.open();
  });
  afterAll(() => room.close());

  describe.each(['demo', 'demo:calico'] as const)('%s', name => {
    const random = seeded(SEED);
    const cases = Array.from({ length: RUNS }, (_, number) => ({
      number,
      after: random.below(SPANS[name]),
      kind: random.pick(KINDS),
      signal: random.pick(SIGNALS),
      victim: random.next(),
    }));

    it.for(cases)('$number: $kind $signal after $after ms', async ({ after, kind, signal, victim }) => {
      const before = room.mounts();
      // Its own process group, as a shell creates for each command.
      const script = kind === 'reader' ? `npm run ${name} | sleep ${after / 1000}` : `exec npm run ${name}`;
      const run = room.start(['setsid', 'sh', '-c', script]);
      let what = 'its reader went away';
      await sleep(after);
      if (kind !== 'reader') {
        const alive = marked(run.mark);
        const chosen = alive[Math.floor(victim * alive.length)];
        const pid = kind === 'group' ? -run.pid : chosen?.pid;
        what = kind === 'group' ? `${signal} to all` : `${signal} to ${chosen?.command}`;
        try {
          if (pid !== undefined) process.kill(pid, signal);
        } catch {
          // The process has just ended.
        }
      }
      const begin = performance.now();
      await until(`the end of all processes after ${what}`, () => marked(run.mark).length === 0, HANG_MS);
      await run.exited;
      console.log(`${what}: all ended within ${(performance.now() - begin).toFixed(0)} ms (TEST_SEED=${SEED})`);
      expect(run.output()).not.toMatch(/at .*:\d+:\d+\)?$/m);
      expect(room.files(), what).toEqual([]);
      expect(room.mounts(), what).toBe(before);
    });
  });
});
