/**
 * A device whose process gets too little: no free descriptors, or no time (SIGSTOP).
 *
 * @module-tag slow
 */
import { afterEach, expect, it } from 'vitest';
import { run, sleep, until } from './command.ts';
import { commandOf, PROGRAM } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { INNER_B, type Pair, tunnelPair } from './pair.ts';

const STOPPED_MS = 5_000;

let pair: Pair | undefined;
afterEach(() => pair?.close());

const start = async (): Promise<Pair> => {
  pair = await tunnelPair({ startA: { args: ['--persist'] } });
  await ping(pair);
  return pair;
};
const ping = ({ a }: Pair) =>
  until('an answer', async () => {
    const { code } = await a.namespace.run(['ping', '-c1', '-W1', INNER_B[4]], { mayFail: true });
    return code === 0;
  });

// prlimit comes with setpriv, in util-linux.
describeWith([...NETWORK, 'setpriv'], `a starved process (${PROGRAM})`, () => {
  it('without free descriptors goes on, and is configurable once it has some again', async () => {
    const { a } = await start();
    const pid = String(a.device.process!.pid);
    await run(['prlimit', '--pid', pid, '--nofile=3:1024']);
    await ping(pair!);
    await a.namespace.run(['timeout', '2', 'wg', 'show', a.device.name], { mayFail: true });
    await ping(pair!);
    await run(['prlimit', '--pid', pid, '--nofile=1024:1024']);
    await until('an answer of the control socket', async () => {
      const { stdout } = await a.namespace.run(['timeout', '2', 'wg', 'show', a.device.name], { mayFail: true });
      return stdout.includes('peer');
    });
    expect(a.device.process!.result()).toBeUndefined();
  });

  it('that is stopped for a while goes on afterwards', async () => {
    const { a } = await start();
    process.kill(a.device.process!.pid, 'SIGSTOP');
    await sleep(STOPPED_MS);
    process.kill(a.device.process!.pid, 'SIGCONT');
    await ping(pair!);
  });

  it('that may open too few files says so at its start, and leaves nothing', async () => {
    const { a, lab } = await start();
    const name = lab.interfaceName();
    const { code, stderr } = await a.namespace.run(['prlimit', '--nofile=20:20', ...commandOf(PROGRAM), '-f', name], {
      mayFail: true,
      timeout: 20_000,
    });
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/EMFILE|too many open files/i) });
    expect((await a.namespace.run(['ip', 'link', 'show', name], { mayFail: true })).code).not.toBe(0);
  });
});
