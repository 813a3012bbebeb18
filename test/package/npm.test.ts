/**
 * The published package: everything that an installation needs, and nothing that was made for this
 * machine or for tests. It is packed, installed into an empty folder as on a machine without a
 * compiler, and run.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testWith } from '../netns/needs.ts';
import { SLOW } from '../support/selection.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const LIMIT_MS = 180_000;

const folder = mkdtempSync(join(tmpdir(), 'wgts-package-'));
afterAll(() => rmSync(folder, { recursive: true }));

let tarball = '';
let paths: string[] = [];

beforeAll(() => {
  const { stdout } = succeed('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT);
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(folder, filename);
  paths = files.map(({ path }) => path);
}, LIMIT_MS);

test('the package holds programs, types, and the addon, prebuilt and as source', () => {
  expect(paths).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'README.md',
      'bin/wgts',
      'bin/wireguard-ts',
      'dist/program/wireguard-ts.cjs',
      'dist/program/wgts.cjs',
      'dist/index.d.ts',
      ...['engine', 'config', 'device', 'calico-plan'].flatMap(name => [
        `dist/public/${name}.js`,
        `dist/public/${name}.d.ts`,
      ]),
      'examples/status.mjs',
      'native/module.c',
      'native/addon.h',
      'native/prebuilt/linux-x64-glibc.node',
      'native/prebuilt/linux-arm64-musl.node',
      'native/prebuilt/manifest.json',
      'scripts/build-native.mjs',
    ]),
  );
});

test('it contains nothing else', () => {
  const KNOWN = [
    /^(CHANGELOG|CONTRIBUTING|SECURITY|README(\.\w+)?)\.md$|^LICENSE$|^package\.json$/,
    /^bin\/[\w.-]+$/,
    /^dist\/index\.(js|d\.ts|js\.map)$/,
    /^dist\/(backend|base|calico|cli|config|crypto|daemon|host|io|netlink|packet|protocol|public|quick|routing)\/[\w./-]+\.(js|d\.ts|js\.map)$/,
    /^dist\/program\/[\w./-]+\.(cjs|txt|json)$/,
    /^dist\/man\/[\w-]+\.8$/,
    /^deploy\/[\w./-]+\.yaml$|^deploy\/helm\/[\w./-]+\.(tpl|txt|json)$/,
    /^docs\/[\w./-]+\.(md|svg)$/,
    /^examples\/[\w-]+\.mjs$/,
    /^native\/[\w-]+\.[ch]$|^native\/prebuilt\/[\w-]+\.(node|json)$/,
    /^scripts\/(build-native|node-version|addon\/recipe)\.mjs$/,
    /^systemd\/[\w@.-]+\.service$/,
  ];
  expect(paths.filter(path => !KNOWN.some(pattern => pattern.test(path)))).toEqual([]);
});

test('links of its documents lead to files of the package', () => {
  const documents = paths.filter(path => path.endsWith('.md'));
  expect(documents.length).toBeGreaterThan(10);
  const broken = documents.flatMap(document =>
    linksOf(readFileSync(join(ROOT, document), 'utf8'))
      .map(link => ({ document, link, path: normalize(join(dirname(document), link)) }))
      // a link to a folder needs a file inside it
      .filter(({ path }) => !paths.some(packed => packed === path || packed.startsWith(`${path.replace(/\/$/, '')}/`)))
      .map(({ link }) => `${document}: ${link}`),
  );
  expect(broken).toEqual([]);
});

// Needs npm's registry.
describe('installed on a machine without a compiler', { tags: SLOW }, () => {
  // npm finds node but no compiler, because cc is looked up in PATH.
  const bin = join(folder, 'bin');
  const env = { ...process.env, CC: join(bin, 'no-compiler'), NODE_OPTIONS: '' };

  describe.each([
    ['in a folder', [], join(folder, 'local/node_modules')],
    ['globally', ['--global'], join(folder, 'global/lib/node_modules')],
  ] as const)('%s', (name, options, modules) => {
    const prefix = join(folder, name === 'globally' ? 'global' : 'local');
    const commands = name === 'globally' ? join(prefix, 'bin') : join(modules, '.bin');

    beforeAll(() => {
      mkdirSync(prefix);
      if (name !== 'globally') writeFileSync(join(prefix, 'package.json'), '{}');
      const args = ['install', ...options, '--prefix', prefix, '--omit=optional', '--prefer-offline', tarball];
      succeed('npm', args, prefix, env);
    }, LIMIT_MS);

    test('nothing is compiled, and the programs are executable', () => {
      expect(existsSync(join(modules, 'wireguard-ts/native/build'))).toBe(false);
      for (const program of ['wgts', 'wireguard-ts'])
        expect(statSync(join(commands, program)).mode & 0o111, program).toBe(0o111);
    });

    test('it contains the manifests, and prints them', () => {
      const args = ['calico', 'install', '--offline', '--for', 'manifest'];
      expect(succeed(join(commands, 'wgts'), args, prefix, env).stdout).toContain(`image: wireguard-ts:${VERSION}\n`);
    });

    test('wgts --version, genkey and doctor', () => {
      expect(succeed(join(commands, 'wgts'), ['--version'], prefix, env).stdout).toContain(` v${VERSION}\n`);
      expect(succeed(join(commands, 'wgts'), ['genkey'], prefix, env).stdout).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
      const doctor = spawnSync(join(commands, 'wgts'), ['doctor'], { env, encoding: 'utf8', timeout: LIMIT_MS });
      expect(doctor.stdout).toMatch(/addon/);
      expect(doctor.stdout + doctor.stderr).not.toMatch(/addon (is not built|cannot be loaded)|no prebuilt addon/);
    });

    testWith(
      ['root', 'tun', 'unshare'],
      'wireguard-ts brings up a device',
      async () => {
        const device = `wgpack${process.pid % 100000}`;
        const daemon = spawn('unshare', ['-n', join(commands, 'wireguard-ts'), '-f', device], {
          env,
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let said = '';
        daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
        const ended = new Promise<string>(resolve => {
          daemon.once('error', error => resolve(error.message));
          daemon.once('close', (code, signal) => resolve(String(code ?? signal)));
        });
        try {
          await expect
            .poll(() => spawnSync(join(commands, 'wgts'), ['show', device], { env, encoding: 'utf8' }).stdout, {
              timeout: 30_000,
              interval: 200,
            })
            .toMatch(new RegExp(`interface: ${device}`));
        } finally {
          daemon.kill('SIGTERM');
        }
        expect(await ended, said).toBe('0');
      },
      LIMIT_MS,
    );
  });
});

describe('a program that imports the package', () => {
  const project = join(folder, 'consumer');
  const PROGRAM = `import { Engine, nobleCrypto, noblePacketAead, TwinCipher } from 'wireguard-ts/engine';
import { parseConf, type DeviceConfig } from 'wireguard-ts/config';
import { type Desired, plan } from 'wireguard-ts/calico-plan';
import { SystemBackend, type WireguardBackend } from 'wireguard-ts/device';
import { Engine as RootEngine } from 'wireguard-ts';

const engine: RootEngine = new Engine({
  crypto: nobleCrypto,
  cipher: new TwinCipher(noblePacketAead),
  random: bytes => bytes.fill(1),
  wall: () => 0n,
});
const config: Pick<DeviceConfig, 'listenPort'> = parseConf('', 'empty');
const backend: WireguardBackend = new SystemBackend();
export const made: [number, typeof config, typeof backend] = [engine.nextDeadline(), config, backend];
export const desired = (input: Parameters<typeof plan>[0]): Desired => plan(input).desired;
`;

  beforeAll(() => {
    const modules = join(project, 'node_modules');
    mkdirSync(join(modules, 'wireguard-ts'), { recursive: true });
    succeed('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'wireguard-ts')], project);
    for (const name of ['@noble', '@scure', 're2js'])
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(project, 'program.ts'), PROGRAM);
  });

  // Without the types of Node, and with every .d.ts checked.
  test.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])('has types with module %s, moduleResolution %s', (module, resolution) => {
    const target = ['--target', 'es2023', '--lib', 'es2023', '--module', module, '--moduleResolution', resolution];
    const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--types', ''];
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...options, ...target, 'program.ts'], {
      cwd: project,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  test.each(['wireguard-ts', 'wireguard-ts/config', 'wireguard-ts/device'])(
    'is bundled from %s without unused code',
    async entry => {
      const file = join(project, 'one-name.js');
      const name = entry.endsWith('device') ? 'offloadsWithout' : 'formatAddress';
      writeFileSync(file, `import { ${name} } from '${entry}';\nconsole.log(typeof ${name});\n`);
      const bundle = await rolldown({ input: file, platform: 'node' });
      const { output } = await bundle.generate({ format: 'esm' });
      const code = output.map(chunk => (chunk.type === 'chunk' ? chunk.code : '')).join('');
      expect(code).toContain(`function ${name}`);
      expect(code).not.toMatch(/class (Engine|DeviceLoop|SystemBackend|ConfigError)\b|createSocket|x25519/);
    },
  );
});

/** Returns relative links without their fragments, ignoring code. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)|(?:href|src)="([^"]+)"/g)]
    .map(([, inline, html]) => (inline ?? html)!)
    .filter(link => !/^(\w+:|#)/.test(link))
    .map(link => link.replace(/#.*/, ''));
}

function succeed(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
  const result = spawnSync(program, args, { cwd, env, encoding: 'utf8', timeout: LIMIT_MS });
  if (result.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${result.error?.message ?? result.stderr + result.stdout}`);
  return result;
}
