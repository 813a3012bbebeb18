/**
 * The image without an engine: its tree, run with the rights of the manifests, in its own network
 * namespace.
 *
 * @module-tag slow
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../netns/needs.ts';
import { HANG_MS } from '../support/patience.ts';
import { Image } from './container.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TUN = { '/dev/net/tun': '/dev/net/tun' };

describeWith(['root', 'tun', 'unshare', 'python3', 'ip'], 'the image', () => {
  let image: Image;
  beforeAll(() => {
    image = new Image();
  });
  afterAll(() => image?.remove());

  test('the Dockerfile takes its tree from the same script, and nothing else', () => {
    const file = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8');
    const last = file.slice(file.lastIndexOf('\nFROM ')).split('\n');
    expect(last.filter(line => /^(FROM|COPY|ADD|RUN)/.test(line))).toEqual([
      'FROM scratch',
      'COPY --from=build /image/ /',
    ]);
    expect(file).toMatch(/^RUN node deploy\/assemble\.mjs \/image$/m);
    // Everything that it copies is sent to the engine.
    const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    for (const [, sources] of file.matchAll(/^COPY (?!--from)(.+) \S+$/gm))
      for (const source of sources!.split(' ')) expect(ignored).toContain(`!${source}`);
  });

  test('the entry point works without any rights', () => {
    const { status, out, err } = image.run({ command: ['/usr/bin/wgts', '--version'] });
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toBe(`wireguard-ts v${JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version}\n`);
  });

  test('every command loads in the image, with all its imports', () => {
    const { out } = image.run({ command: ['/usr/bin/wgts', '--help'] });
    const here = spawnSync(process.execPath, [join(ROOT, 'dist/program/wgts.cjs'), '--help'], { encoding: 'utf8' });
    expect(out).toBe(here.stdout);
    const commands = [...out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name!);
    expect(commands).toEqual(expect.arrayContaining(['show', 'up', 'doctor']));
    for (const name of commands) {
      const ran = image.run({ command: ['/usr/bin/wgts', name, '--help'] });
      expect(ran, name).toMatchObject({ status: 0, err: '', out: expect.stringContaining(`Usage: wgts ${name}`) });
    }
  });

  test('it contains the manifests, and prints them', () => {
    const args = ['calico', 'install', '--offline', '--for', 'openshift', '--with', 'metrics'];
    const { status, out } = image.run({ command: ['/usr/bin/wgts', ...args] });
    const here = spawnSync(process.execPath, [join(ROOT, 'dist/program/wgts.cjs'), ...args], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(out).toContain('kind: SecurityContextConstraints');
    expect(out).toBe(here.stdout);
  });

  test('NET_ADMIN and /dev/net/tun are all that a device needs; the root stays read-only', () => {
    const { status, out } = image.run({
      command: ['/usr/bin/wgts', 'doctor', '--json'],
      capabilities: ['NET_ADMIN'],
      mounts: TUN,
    });
    expect(status).toBe(0);
    const found = JSON.parse(out) as Record<string, unknown> & { aead: { name: string; nanoseconds?: number }[] };
    expect(found).toMatchObject({ tunDevice: true, addonProblem: '', tunOffloads: { value: expect.any(Array) } });
    expect(found.aead.filter(({ nanoseconds }) => nanoseconds !== undefined).length).toBeGreaterThan(0);
    const write = image.run({ command: ['/usr/bin/node', '-e', "fs.writeFileSync('/tmp/x', '')"] });
    expect(write.err).toMatch(/EROFS/);
  });

  test('without NET_ADMIN there is no TUN device: the capability is necessary', () => {
    const { out } = image.run({ command: ['/usr/bin/wgts', 'doctor', '--json'], mounts: TUN });
    expect(JSON.parse(out)).toMatchObject({ tunOffloads: { problem: expect.stringMatching(/permit|EPERM/) } });
  });

  test('a device runs, is visible by its socket on the host, and ends with the process', async () => {
    const sockets = mkdtempSync(join(tmpdir(), 'wgts-sockets-'));
    const container = image.start({
      command: ['/usr/bin/wireguard-ts', '-f', 'wgimage0'],
      capabilities: ['NET_ADMIN'],
      mounts: { ...TUN, '/var/run/wireguard': sockets },
    });
    const ended = new Promise(resolve => container.on('exit', resolve));
    try {
      await expect.poll(() => readdirSync(sockets), { timeout: HANG_MS }).toContain('wgimage0.sock');
      const links = spawnSync('nsenter', ['-t', String(container.pid), '-n', 'ip', '-br', 'link'], {
        encoding: 'utf8',
      });
      expect(links.stdout).toMatch(/^wgimage0 /m);
    } finally {
      container.kill('SIGTERM');
      await ended;
      rmSync(sockets, { recursive: true });
    }
  });

  test("the key's folder, as the kubelet creates it, can be made private and written to without any rights", () => {
    const keys = mkdtempSync(join(tmpdir(), 'wgts-keys-'));
    chmodSync(keys, 0o755);
    const folder = '/var/lib/wireguard-ts';
    const script = `fs.chmodSync('${folder}', 0o700); fs.writeFileSync('${folder}/private-key', 'x', { mode: 0o600 })`;
    try {
      expect(image.run({ command: ['/usr/bin/node', '-e', script], mounts: { [folder]: keys } })).toMatchObject({
        status: 0,
        err: '',
      });
      expect(statSync(join(keys, 'private-key')).mode & 0o777).toBe(0o600);
    } finally {
      rmSync(keys, { recursive: true });
    }
  });

  test('the waiting program of the labeller runs without rights and ends on SIGTERM', async () => {
    const [, command] =
      /command:\n((?: +- .+\n)+)/.exec(readFileSync(join(ROOT, 'deploy/base/labeller.yaml'), 'utf8')) ?? [];
    const parts = [...command!.matchAll(/- (.+)\n/g)].map(([, part]) => part!);
    expect(parts[0]).toBe('/usr/bin/node');
    const container = image.start({ command: parts });
    const ended = new Promise(resolve => container.on('exit', (code, signal) => resolve({ code, signal })));
    const early = await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 2000, 'runs'))]);
    container.kill('SIGTERM');
    expect([early, await ended]).toEqual(['runs', { code: 0, signal: null }]);
  });

  test('the init container of host-encryption sets its sysctl with only NET_ADMIN, by its mounted path', () => {
    const text = readFileSync(join(ROOT, 'deploy/components/host-encryption/kustomization.yaml'), 'utf8');
    const script = /- (fs\.writeFileSync.+)\n/.exec(text)![1]!;
    const mounts = { '/host/proc/sys/net': '/proc/sys/net' };
    const value = 'fs.readFileSync("/proc/sys/net/ipv4/conf/all/src_valid_mark", "utf8")';
    const run = (capabilities: readonly string[]) =>
      image.run({ command: ['/usr/bin/node', '-e', `${script}; console.log(${value})`], capabilities, mounts });
    expect(run(['NET_ADMIN'])).toMatchObject({ status: 0, out: '1\n\n' });
    // The container's own /proc/sys is read-only, even with every right.
    const own = image.run({
      command: ['/usr/bin/node', '-e', script.replace('/host', '')],
      capabilities: ['NET_ADMIN'],
    });
    expect(own.err).toMatch(/EROFS/);
  });

  test('the image has no npm packages: the programs contain the needed parts, with licences beside them', () => {
    expect(readdirSync(join(image.tree, 'opt/wireguard-ts'))).not.toContain('node_modules');
    expect(readdirSync(join(image.tree, 'opt/wireguard-ts/dist'))).toEqual(['program']);
    expect(readdirSync(join(image.tree, 'opt/wireguard-ts/dist/program'))).toContain('THIRD-PARTY-LICENSES.txt');
    // The Kubernetes client gets this far without a cluster.
    const verify = image.run({ command: ['/usr/bin/wgts', 'verify', '--kubeconfig', '/etc/passwd'] });
    expect(verify.err).toMatch(/the kubeconfig has no cluster/);
  });
});
