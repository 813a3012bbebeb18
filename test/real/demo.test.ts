/** `npm run demo:kubernetes` from this clone: what it prints, and that it leaves nothing behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeCluster } from '../cluster/control-plane.ts';
import { run, start, until } from '../netns/command.ts';
import { describeWith } from '../netns/needs.ts';
import { ROOT } from '../support/repository.ts';
import { REAL_NEEDS } from './real-cluster.ts';

const DEMO = 'demo-kubernetes';
const COMMAND = [process.execPath, join(ROOT, 'scripts', `${DEMO}.mjs`)];
const LIMIT_MS = 600_000;
const quiet = { cwd: ROOT, env: { CI: '', NO_COLOR: '1' } };

/** Control groups and mounts of demos. */
function traces(): readonly string[] {
  const groups = readdirSync('/sys/fs/cgroup', { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(`/sys/fs/cgroup/${name}`).filter(each => each.startsWith('wgts-demo-')));
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter(line => /wgts-demo-|^demo /.test(line));
  return [...groups, ...mounts];
}

describeCluster('npm run demo:kubernetes', () =>
  describeWith(REAL_NEEDS, 'on this machine', () => {
    test('ends with three nodes of which every pair is encrypted', { timeout: LIMIT_MS }, async () => {
      const { stdout, stderr } = await run(COMMAND, { ...quiet, timeout: LIMIT_MS });
      expect(stderr).toBe('');
      expect(stdout).toMatch(/ok +kubectl rollout restart of the DaemonSet: \d+ datagrams, 0 lost/);
      expect(stdout).toMatch(/ok +after +\d+ s: every pair encrypted/);
      for (const node of ['node-1', 'node-2', 'node-3'])
        expect(stdout).toMatch(new RegExp(`wireguard-ts-\\w+ +1/1 +Running +${node}`));
      expect(traces()).toEqual([]);
    });

    test('an interrupted build ends at once, and leaves no part of a program', { timeout: LIMIT_MS }, async () => {
      const cache = mkdtempSync(join(tmpdir(), 'wgts-demo-cache-'));
      try {
        const env = { ...quiet.env, XDG_CACHE_HOME: cache, KUBEBUILDER_ASSETS: cache };
        const demo = start(COMMAND, { ...quiet, env });
        const parts = () =>
          readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter(path => /part-[^/]+$/.test(path));
        await until('a build', () => parts().length > 0, LIMIT_MS);
        const { signal } = await demo.stop('SIGTERM');
        expect([signal, parts()]).toEqual(['SIGTERM', []]);
      } finally {
        rmSync(cache, { recursive: true, force: true });
      }
    });

    test('leaves nothing when it is interrupted', { timeout: LIMIT_MS }, async () => {
      const demo = start(COMMAND, quiet);
      await until('the nodes', () => demo.output().includes('three nodes are ready'), LIMIT_MS);
      const { signal, code } = await demo.stop('SIGTERM');
      expect([signal, code]).not.toContain(0);
      await until('the end of everything', () => traces().length === 0);
    });
  }),
);
