/** What is published: everything that an installation needs, and nothing that was made for this machine or for tests. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the package holds programs, types and the addon as source', () => {
  const { stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'bin/wgts',
      'bin/wireguard-ts',
      'dist/cli/wireguard-ts.js',
      'dist/cli/wgts.js',
      'dist/index.d.ts',
      'dist/program/THIRD-PARTY-LICENSES.txt',
      'dist/program/wgts.cjs',
      'dist/program/wireguard-ts.cjs',
      'native/module.c',
      'native/addon.h',
      'scripts/build-native.mjs',
    ]),
  );
  expect(paths.filter(path => /^native\/build|^dist\/(test|bench)|tsbuildinfo$|^src|^test/.test(path))).toEqual([]);
});

test('the types of the library need none of Node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-consumer-'));
  try {
    const entry = join(ROOT, 'dist/index.d.ts');
    const file = join(folder, 'consumer.ts');
    writeFileSync(
      file,
      `import { Engine, nobleCrypto, noblePacketAead, TwinCipher } from ${JSON.stringify(entry.replace(/\.d\.ts$/, '.js'))};
const engine: Engine = new Engine({
  crypto: nobleCrypto,
  cipher: new TwinCipher(noblePacketAead),
  random: bytes => bytes.fill(1),
  wall: () => 0n,
});
export const next: number = engine.nextDeadline();
`,
    );
    const options = [
      '--strict',
      '--skipLibCheck',
      'false',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--lib',
      'es2023',
    ];
    const { stdout } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '--noEmit', '--types', '', ...options, file],
      { cwd: folder, encoding: 'utf8' },
    );
    expect(stdout).toBe('');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
