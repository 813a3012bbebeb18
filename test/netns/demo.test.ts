/**
 * The demos that the README recommends: both succeed with nothing but Node and util-linux, report
 * line by line, and explain in one sentence what they lack.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fences, page } from '../support/guide.ts';
import { DemoRoom } from './demo-room.ts';
import { ROOT } from './device.ts';
import { describeWith } from './needs.ts';

const LIMIT_MS = 110_000;
const PLAIN_USER = 'setpriv --reuid=1000 --regid=1000 --clear-groups';
/** Making a clone ready may print its progress. */
const PROGRESS = /^wireguard-ts: [^\n]*\n/gm;
/**
 * Opens /dev/net/tun to all users in this mount namespace: on some machines only root may open it.
 */
const OPEN_TUN = 'mount -t tmpfs d /dev/net && mknod -m 666 /dev/net/tun c 10 200';
const GREEN = '\x1b[32mok\x1b[0m';

describeWith(['root', 'tun', 'namespaces'], 'the demos', () => {
  let room: DemoRoom;
  beforeAll(async () => {
    room = await DemoRoom.open();
  });
  afterAll(() => room.close());

  async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const running = room.start(argv, { env });
    const timer = setTimeout(() => running.stop('SIGKILL'), LIMIT_MS);
    const { code, stdout, stderr } = await running.exited;
    clearTimeout(timer);
    return { code, stdout, said: stderr.replace(PROGRESS, '').trim() };
  }

  describe.each(['demo', 'demo-calico'])('%s', script => {
    const program = `${ROOT}/scripts/${script}.mjs`;

    it('prints five checks, all ok, without ip and ping, in 60 columns', async () => {
      const { code, stdout, said } = await run(['env', `PATH=${room.programs}`, 'COLUMNS=60', 'node', program]);
      expect({ code, failed: stdout.match(/FAILED.*/g), said }).toEqual({ code: 0, failed: null, said: '' });
      expect(stdout.match(/^ {2}ok /gm)).toHaveLength(5);
      expect(stdout.split('\n').filter(line => line.length > 60)).toEqual([]);
      expect(stdout).not.toContain('\x1b');
      expect(room.files()).toEqual([]);
      // The lines that the README shows.
      const [example = ''] = fences(page('README.md').text, 'text').slice(script === 'demo' ? 0 : 1);
      expect(labels(stdout)).toEqual(expect.arrayContaining(labels(example)));
    });
  });

  it('run side by side, and in a folder whose name needs quoting', async () => {
    const odd = join(room.folder, `a b'c"$d é`);
    mkdirSync(odd);
    const there = `mount --bind "$1" "$2" && cd "$2" && exec node scripts/demo.mjs`;
    const runs = await Promise.all([
      run(['unshare', '-m', 'sh', '-c', there, 'sh', ROOT, odd]),
      run([process.execPath, `${ROOT}/scripts/demo.mjs`]),
    ]);
    for (const { code, stdout, said } of runs)
      expect({ code, said, ok: stdout.match(/^ {2}ok /gm)?.length }).toEqual({ code: 0, said: '', ok: 5 });
  });

  it('run in a project below /run, and as a plain user', async () => {
    const there = `mkdir /run/p && mount --bind "$1" /run/p && cd /run/p && exec ${PLAIN_USER} node scripts/demo.mjs`;
    const { code, stdout, said } = await run([
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount -t tmpfs r /run; ${OPEN_TUN} && ${there}`,
      'sh',
      ROOT,
    ]);
    expect({ code, said, ok: stdout.match(/^ {2}ok /gm)?.length }).toEqual({ code: 0, said: '', ok: 5 });
  });

  it.each([
    ['a terminal', {}, true],
    ['NO_COLOR', { NO_COLOR: '1' }, false],
    ['TERM=dumb', { TERM: 'dumb' }, false],
  ])('colours: %s', async (_, env, isColored) => {
    const demo = `stty cols 60; exec ${process.execPath} scripts/demo.mjs`;
    const { stdout } = await run(['script', '-qec', demo, '/dev/null'], { TERM: 'xterm', ...env });
    const shown = stdout.replace(PROGRESS, '');
    expect(shown.includes(GREEN)).toBe(isColored);
    expect(shown.includes('\x1b')).toBe(isColored);
  });

  describe('explain in one sentence what is missing', () => {
    /**
     * Runs a shell line in a clone that a plain user can reach, because this one may be in /root.
     */
    const within = (line: string, ...args: string[]) => {
      const place = join(room.folder, 'reachable');
      mkdirSync(place, { recursive: true });
      chmodSync(room.folder, 0o755);
      const script = `mount --bind "$1" "$2" && cd "$2" && shift 2 && ${line}`;
      return run(['unshare', '-m', 'sh', '-c', script, 'sh', ROOT, place, ...args]);
    };
    const device = (make: string) => `mount -t tmpfs d /dev/net; ${make}; exec`;
    it.each([
      ['no /dev/net/tun', device(':'), /^wireguard-ts demo: \/dev\/net\/tun .*modprobe tun.*$/],
      [
        'a file in its place',
        device('touch /dev/net/tun'),
        /^wireguard-ts demo: \/dev\/net\/tun .*it is not a device.*$/,
      ],
      [
        'a TUN device of its owner alone',
        `${device('mknod -m 600 /dev/net/tun c 10 200')} ${PLAIN_USER}`,
        /^wireguard-ts demo: \/dev\/net\/tun .*this user may not open it: run it as root.*$/,
      ],
    ])('%s', async (_, before, sentence) => {
      const { code, said } = await within(`${before} node scripts/demo.mjs`);
      expect(code).toBe(1);
      expect(said).toMatch(sentence);
    });

    it('no user namespaces', async () => {
      // The limit is per user namespace, created here by hand to have more than one user.
      const inner = `echo 0 >/proc/sys/user/max_user_namespaces; exec ${PLAIN_USER} node scripts/demo.mjs`;
      const fifo = join(room.folder, 'mapped');
      execFileSync('mkfifo', [fifo]);
      const script = `${OPEN_TUN} && { unshare -U sh -c 'read -r _ <"$1"; exec sh -c "$2"' sh "$1" "$2" & p=$!
        until [ "$(readlink /proc/$p/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
        echo '0 0 65536' >/proc/$p/uid_map; echo '0 0 65536' >/proc/$p/gid_map; echo >"$1"; wait $p; }`;
      const { code, said } = await within(script, fifo, inner);
      expect(code).toBe(1);
      expect(said).toMatch(/^wireguard-ts demo: this user may not create namespaces .*run it as root.*$/);
    });

    it('a clone that is not built and belongs to another user', async () => {
      const clone = join(room.folder, 'clone');
      cpSync(join(ROOT, 'scripts'), join(clone, 'scripts'), { recursive: true });
      for (const file of ['package.json', 'package-lock.json']) cpSync(join(ROOT, file), join(clone, file));
      chmodSync(room.folder, 0o755);
      const demo = `exec ${PLAIN_USER} node "$1"`;
      const { code, said } = await run(['sh', '-c', demo, 'sh', join(clone, 'scripts/demo.mjs')]);
      expect(code).toBe(1);
      expect(said).toMatch(/^wireguard-ts demo: this clone is not built, and this user may not write to it: .*$/);
    });
  });
});

/** Returns the stable beginning of each line, which depends neither on the run nor on the width. */
function labels(output: string): string[] {
  return [...output.matchAll(/^ {2}ok +([A-Za-z]\S*(?: [A-Za-z]\S*)*)/gm)].map(([, label]) =>
    label!.replace(/, .*/, '').slice(0, 30),
  );
}
