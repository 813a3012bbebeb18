/**
 * The single executable: both programs in one file, which needs only a C library.
 *
 * @module-tag slow
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatKeyBase64, parseKeyBase64 } from '../../src/base/key.ts';
import { x25519PublicKey } from '../../src/crypto/node/openssl-x25519.ts';
import { describeWith } from '../netns/needs.ts';
import { EmptyRoot, makeExecutable } from './executable.ts';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
const OPENED = /Debugger listening|Starting inspector/;

let folder: string;
let wgts: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-executable-'));
  wgts = join(folder, 'wgts');
  makeExecutable(wgts);
  symlinkSync('wgts', join(folder, 'wireguard-ts'));
});
afterAll(() => folder && rmSync(folder, { recursive: true }));

function run(args: readonly string[], options: { input?: string; env?: Record<string, string>; argv0?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(wgts, args, { encoding: 'utf8', env: {}, ...options });
  return { status, out: stdout, err: stderr };
}

describe('the executable', () => {
  test('has the version of the package, and runs the program that argv[0] names', () => {
    expect(run(['--version'])).toMatchObject({ status: 0, out: expect.stringContaining(version) });
    expect(run([]).err).not.toMatch(/Usage: wireguard-ts/);
    expect(run([], { argv0: 'wireguard-ts' }).err).toMatch(/wireguard-ts/);
  });

  test('contains the manifests, and prints them', () => {
    const { status, out } = run(['calico', 'install', '--offline', '--for', 'manifest']);
    expect(status).toBe(0);
    expect(out).toMatch(/^kind: ValidatingAdmissionPolicy$/m);
    expect(out).toContain(`image: wireguard-ts:${version}`);
  });

  test('genkey and pubkey agree with the primitives', () => {
    const key = run(['genkey']).out;
    const expected = formatKeyBase64(x25519PublicKey(parseKeyBase64(key.trim())!));
    expect(run(['pubkey'], { input: key })).toEqual({ status: 0, out: `${expected}\n`, err: '' });
  });

  test('the environment cannot add code or open a debugger', () => {
    const script = join(folder, 'foreign.cjs');
    writeFileSync(script, "require('node:fs').writeSync(1, 'foreign')");
    for (const NODE_OPTIONS of ['--inspect=127.0.0.1:0', `--require=${script}`]) {
      const ran = run(['genkey'], { env: { NODE_OPTIONS } });
      expect(ran).toMatchObject({ status: 0, err: '' });
      expect(ran.out).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    }
  });

  test('SIGUSR1 at any instant of a start opens no debugger', async () => {
    for (let delay = 0; delay < 80; delay += 4) {
      const child = spawn(wgts, ['verify', '--datastore', 'file:/nonexistent'], { env: {} });
      let output = '';
      child.stdout.on('data', chunk => (output += chunk));
      child.stderr.on('data', chunk => (output += chunk));
      const ended = new Promise(resolve => child.on('close', resolve));
      await sleep(delay);
      child.kill('SIGUSR1');
      await ended;
      expect(output, `after ${delay} ms`).not.toMatch(OPENED);
    }
  });

  test('builds the same bytes twice', () => {
    const again = join(folder, 'again');
    makeExecutable(again);
    expect(readFileSync(again).equals(readFileSync(wgts))).toBe(true);
  });
});

describeWith(['root', 'tun', 'namespaces', 'unshare', 'ip'], 'the executable in a tree without Node', () => {
  let root: EmptyRoot;
  beforeAll(() => {
    root = new EmptyRoot(wgts);
    root.run('true'); // creates the mount points of devices
  });
  afterAll(() => root?.remove());

  const DEVICE = `in_root /usr/bin/wireguard-ts wgempty0
    in_root /usr/bin/wgts show wgempty0
    in_root /usr/bin/wgts doctor --json
    ip link show wgempty0 >&2
    kill -9 -1`;

  test.each([{ proc: true }, { proc: false }])(
    'a device goes to the background, answers, is killed and leaves nothing behind, %j',
    options => {
      const before = root.files();
      const { out, err } = root.run(DEVICE, options);
      expect(err).toMatch(/wgempty0: <POINTOPOINT/);
      expect(out).toMatch(/^interface: wgempty0$/m);
      const doctor = JSON.parse(out.slice(out.indexOf('{')));
      expect(doctor).toMatchObject({ addonProblem: '', tunDevice: true });
      const socket = 'var/run/wireguard/wgempty0.sock';
      expect(existsSync(join(root.tree, socket))).toBe(true);
      rmSync(join(root.tree, socket));
      rmSync(join(root.tree, 'var/run/wireguard/handover/wgempty0'));
      rmdirSync(join(root.tree, 'var/run/wireguard/handover'));
      // The log intentionally stays for later reading.
      rmSync(join(root.tree, 'var/log'), { recursive: true, force: true });
      expect(root.files()).toEqual(before);
    },
  );

  test('contains libIPSec_MB if Debian has it', () => {
    const { out } = root.run('in_root /usr/bin/wgts doctor --json');
    const provider = JSON.parse(out).aead.find(({ name }: { name: string }) => name === 'ipsec-mb');
    if (process.arch === 'x64') expect(provider).toMatchObject({ nanoseconds: expect.any(Number) });
    else expect(provider.problem).toMatch(/x86-64/);
  });

  const LOCKED = `mount --bind "$ROOT" "$ROOT"
    mount -o remount,bind,ro "$ROOT"
    mount -t tmpfs -o noexec tmpfs "$ROOT/tmp"
    in_root /usr/bin/wgts doctor --json`;
  const addonProblem = () => JSON.parse(root.run(LOCKED).out).addonProblem;

  test('if no folder works, the message names each one and says what to do', () => {
    expect(addonProblem()).toMatch(/mount one without noexec, or set TMPDIR to one .*\/tmp: .*\/var\/tmp: .*EROFS/);
  });

  test("a package's own file is used in place if only root can change it and it is identical", () => {
    const installed = join(root.tree, 'usr/lib/wireguard-ts');
    const file = join(installed, 'wireguard.node');
    mkdirSync(installed, { recursive: true });
    copyFileSync(join(import.meta.dirname, `../../native/prebuilt/linux-${process.arch}-glibc.node`), file);
    expect(addonProblem()).toBe('');
    chmodSync(file, 0o666);
    expect(addonProblem()).toMatch(/no folder/);
    chmodSync(file, 0o644);
    chownSync(installed, 1, 1);
    expect(addonProblem()).toMatch(/no folder/);
    chownSync(installed, 0, 0);
    writeFileSync(file, 'another version');
    expect(addonProblem()).toMatch(/no folder/);
    rmSync(installed, { recursive: true });
  });

  test('the temporary file of the addon is removed, and no folder is left under /tmp', () => {
    expect(readdirSync(join(root.tree, 'var/tmp'))).toEqual([]);
  });
});
