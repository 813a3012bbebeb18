/** Completion: the candidates at the cursor, and the scripts that hand them to the three shells. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CompletionSources, completeCommand, completeWgts } from '../../src/cli/completion/candidates.ts';
import { wireguardTs } from '../../src/cli/help/texts/wireguard-ts.ts';
import { describeWith, testWith } from '../netns/needs.ts';
import { FakeDevice } from '../support/fake-device.ts';
import { programFile, runProgram } from './run-wgts.ts';
import { ShellTyping } from './shell-typing.ts';
import { KEY, STATUS } from './wg-cases.ts';

const SOURCES: CompletionSources = {
  interfaces: async () => ['wg0', 'wg1', 'office'],
  configs: async () => ['wg0', 'home'],
  peers: async name => (name === 'wg0' ? [{ value: KEY.a, text: '10.0.0.1/32' }] : []),
};
const PEER_SETTINGS = ['remove', 'preshared-key', 'endpoint', 'persistent-keepalive', 'allowed-ips'];

describe('candidates at the cursor', () => {
  test.each<[string, string[], string?]>([
    ['sho', ['show', 'showconf']],
    ['-', ['--help', '--version']],
    ['nonsense ', []],
    ['show ', ['wg0', 'wg1', 'office', 'all', 'interfaces']],
    ['show wg', ['wg0', 'wg1']],
    ['show wg0 pe', ['peers', 'persistent-keepalive']],
    ['show --js', ['--json']],
    ['show --json o', ['office']],
    ['genkey ', []],
    ['set ', ['wg0', 'wg1', 'office']],
    ['set wg0 ', ['listen-port', 'fwmark', 'private-key', 'peer']],
    ['set wg0 listen-port ', []],
    ['set wg0 listen-port 1 ', ['fwmark', 'private-key', 'peer']],
    ['set wg0 private-key ', [], 'file'],
    ['set wg0 peer ', [KEY.a]],
    ['set wg1 peer ', []],
    ['set wg0 peer K ', ['peer', ...PEER_SETTINGS]],
    ['set wg0 peer K remove p', ['peer', 'preshared-key', 'persistent-keepalive']],
    ['set wg0 peer K remove peer L ', ['peer', ...PEER_SETTINGS]],
    ['set wg0 bogus ', []],
    ['setconf wg0 ', [], 'file'],
    ['up ', ['wg0', 'home'], 'file'],
    ['up --w', ['--watch']],
    ['up --watch --', ['--backend', '--help', '--version']],
    ['up --backend ', ['auto', 'kernel', 'userspace', 'native', 'pure']],
    ['up --backend=na', ['--backend=native']],
    ['up --backend pure ', ['wg0', 'home'], 'file'],
    ['calico --kubeconfig=a', [], 'file'],
    ['calico --key-dir ', [], 'folder'],
    ['calico --http ', ['off']],
    ['cal', ['calico']],
    ['calico ', ['install', 'uninstall']],
    ['calico u', ['uninstall']],
    ['calico --once ', []],
    ['calico install --d', ['--dry-run', '--diff']],
    ['calico install --for o', ['operator', 'openshift']],
    ['calico install --kubeconfig ', [], 'file'],
    ['calico uninstall --t', ['--timeout']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['help ver', ['verify']],
  ])('wgts %s', async (line, values, paths) => {
    const found = await completeWgts(line.split(' '), SOURCES);
    expect([found.candidates.map(({ value }) => value), found.paths]).toEqual([values, paths]);
  });

  test('completes the options of wireguard-ts', async () => {
    const { candidates } = await completeCommand(wireguardTs, ['-f', '--back'], SOURCES);
    expect(candidates).toEqual([{ value: '--backend', text: 'The implementation that runs the tunnel' }]);
  });
});

describe('shell scripts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-completion-'));
  const bin = join(folder, 'bin');
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, HOME: folder, LC_ALL: 'C.UTF-8', TERM: 'dumb' };
  beforeAll(() => {
    mkdirSync(bin);
    writeFileSync(join(folder, 'a-file.yaml'), '');
    mkdirSync(join(folder, 'a-folder'));
    writeFileSync(join(bin, 'wgts'), `#!/bin/sh\nexec ${programFile('wgts')} "$@"\n`);
    chmodSync(join(bin, 'wgts'), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function typeInto(shell: string, setup: string): Promise<void> {
    const typing = new ShellTyping(shell, { cwd: folder, env });
    try {
      await typing.run(setup);
      await typing.complete('wgts genk', 'genkey');
      await typing.complete('wgts up --backend=na', '--backend=native');
      await typing.complete('wgts calico --kubeconfig=a-fi', '--kubeconfig=a-file.yaml');
      await typing.complete('wgts calico --key-dir a-fo', 'a-folder/');
    } finally {
      typing.close();
    }
  }

  testWith(['bash'], 'bash: the function returns the candidates for a line', () => {
    const script = `
      source <(wgts completion bash)
      try() { COMP_LINE=$1; COMP_POINT=\${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wgts; echo "\${COMPREPLY[*]}"; }
      try 'wgts gen' wgts gen
      try 'wgts up --backend=na' wgts up --backend = na
      try 'wgts up --backend=' wgts up --backend = ''
      try 'wgts set wg0 ' wgts set wg0 ''
      try 'wireguard-ts --no-g' wireguard-ts --no-g`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { env, encoding: 'utf8' });
    expect([stdout.split('\n').slice(0, -1), stderr]).toEqual([
      [
        'genkey genpsk',
        'native',
        'auto kernel userspace native pure',
        'listen-port fwmark private-key peer',
        '--no-gso --no-gro',
      ],
      '',
    ]);
  });

  testWith(['bash'], 'bash: quotes names that the shell would interpret', () => {
    const script = `
      source <(wgts completion bash)
      wgts() { :; }
      command() { printf '%s\\t\\n' 'wg$(id)' '\`id\`' 'a;id' 'b c' 'k+/=' ; echo :none; }
      COMP_LINE='wgts down '; COMP_WORDS=(wgts down ''); COMP_CWORD=2; COMP_POINT=10; _wgts; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { env, encoding: 'utf8' });
    expect([stdout.split('\n').slice(0, -1), stderr]).toEqual([
      ['wg\\$\\(id\\)', '\\`id\\`', 'a\\;id', 'b\\ c', 'k+/='],
      '',
    ]);
  });

  testWith(['bash'], 'bash: the Tab key completes', () =>
    typeInto('bash --norc --noprofile -i', 'source <(wgts completion bash)'),
  );

  testWith(['zsh'], 'zsh: the Tab key completes', () =>
    typeInto('zsh -f -i', 'autoload -Uz compinit; compinit -u -D; source <(wgts completion zsh)'),
  );

  testWith(['fish'], 'fish: complete lists the candidates', () => {
    const lines = ['wgts gen', 'wgts up --backend=', 'wgts calico --kubeconfig=a-fi', 'wireguard-ts --no-g'];
    const script = `source (wgts completion fish | psub); ${lines.map(line => `complete -C '${line}'`).join('; ')}`;
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', script], { cwd: folder, env, encoding: 'utf8' });
    expect(stderr).toBe('');
    const offered = stdout.split('\n').map(line => line.split('\t')[0]);
    expect(offered).toEqual(expect.arrayContaining(['genkey', 'genpsk', '--backend=pure', '--no-gso']));
    expect(offered).toContain('--kubeconfig=a-file.yaml');
  });
});

describeWith(['root'], 'completion of a running device', () => {
  const device = new FakeDevice(`wgc${process.pid}`.slice(0, 15));
  beforeAll(() => device.open());
  afterAll(() => device.close());

  test('offers its name and its peers’ keys with their endpoints', async () => {
    device.status = STATUS['every field']!;
    const { run } = await import('./run-program.ts');
    const ask = (...words: string[]) => run([programFile('wgts'), '__complete', 'wgts', ...words]);
    expect((await ask('show', device.name.slice(0, -1))).out).toContain(`${device.name}\tinterface\n`);
    const { out } = await ask('set', device.name, 'peer', '');
    expect(out).toMatch(new RegExp(`^${KEY.a.replaceAll('+', '\\+')}\t.*at 192\\.0\\.2\\.1:1$`, 'm'));
  });

  test('a missing device is not an error', () => {
    expect(runProgram('wgts', ['__complete', 'wgts', 'set', 'nowhere', 'peer', ''])).toEqual({
      status: 0,
      out: ':none\n',
      err: '',
    });
  });
});
