/**
 * The program `wgts calico` itself, in a network namespace, with WireGuard off: its output and how
 * it ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FIRST_STATUS } from '../../src/calico/agent/status.ts';
import { unsettled } from '../../src/cli/commands/calico.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { OWN_RUN, run } from './run-program.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const NODE = `apiVersion: v1
kind: Node
metadata:
  name: n1
  annotations:
    projectcalico.org/IPv4Address: 10.0.0.1/24
    projectcalico.org/WireguardPublicKey: ${KEY}
`;

test('--once that did not converge reports what is not ready and the problems', () => {
  const problems = [{ object: 'API/nodes', reason: 'AccessDenied', message: 'forbidden' }];
  expect(unsettled({ ...FIRST_STATUS, stale: '403', problems })).toEqual([
    'not converged after 60 s',
    'the cluster cannot be read: 403',
    'API/nodes: AccessDenied: forbidden',
  ]);
});

inOwnNamespace(import.meta.url, [], () => {
  let folder: string;
  let args: readonly string[];
  const running: ChildProcess[] = [];

  beforeEach(() => {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    folder = mkdtempSync(join(tmpdir(), 'wgts-calico-'));
    writeFileSync(join(folder, 'nodes.yaml'), NODE);
    args = ['calico', '--node=n1', '--cluster-from', join(folder, 'nodes.yaml'), '--key-dir', join(folder, 'keys')];
  });
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const program = (...more: string[]): readonly string[] => [...OWN_RUN, process.execPath, WGTS, ...args, ...more];

  test('--once exits with status 0', async () => {
    const { status, err } = await run(program('--once'));
    const off = /^WireGuard is off in this cluster .*kubectl patch felixconfiguration default .*\n$/;
    expect([status, err]).toEqual([0, expect.stringMatching(off)]);
    // This rule belongs to another program.
    expect(readFileSync(join(folder, 'nodes.yaml'), 'utf8')).toBe(NODE);
  });

  test('--withdraw exits with status 0', async () => {
    expect((await run(program('--withdraw'))).status).toBe(0);
  });

  test('runs until SIGTERM and serves /readyz until then', async () => {
    const [shell, ...words] = program('--http=127.0.0.1:39096');
    const child = spawn(shell!, words, { stdio: 'inherit' });
    running.push(child);
    const ended = new Promise(resolve => child.on('close', (...how) => resolve(how)));
    for (;;) {
      const answer = await fetch('http://127.0.0.1:39096/readyz').catch(() => undefined);
      if (answer?.status === 200) break;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    expect(await (await fetch('http://127.0.0.1:39096/metrics')).text()).toContain(
      'wgts_agent_phase{phase="running"} 1',
    );
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('an HTTP address of another machine is a one-line error with status 1', async () => {
    const { status, err } = await run(program('--http=192.0.2.1:39097'));
    expect([status, err]).toEqual([
      1,
      expect.stringMatching(/^wgts: --http 192\.0\.2\.1:39097: .*EADDRNOTAVAIL.*--http off\n$/),
    ]);
  });

  test('an HTTP port that another program has is named, and the agent does its work', async () => {
    const server = createServer();
    await new Promise<void>(resolve => server.listen(39097, '127.0.0.1', resolve));
    const [shell, ...words] = program('--http=127.0.0.1:39097');
    const child = spawn(shell!, words, { stdio: ['ignore', 'inherit', 'pipe'] });
    running.push(child);
    let text = '';
    child.stderr.setEncoding('utf8').on('data', more => {
      text += more;
    });
    await expect
      .poll(() => text, { timeout: 20_000 })
      .toContain('a program that is no agent listens at http://127.0.0.1:39097');
    server.close();
    const phase = () =>
      fetch('http://127.0.0.1:39097/readyz').then(
        answer => answer.status,
        () => 0,
      );
    await expect.poll(phase, { timeout: 20_000 }).toBe(200);
    const ended = new Promise(resolve => child.on('close', (...how) => resolve(how)));
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  const help = '\\nFor help: wgts help calico\\n$';
  test.each<[string[], RegExp]>([
    [['--kubeconfig', '/none'], new RegExp(`^wgts calico: .*give one of them${help}`)],
    [['--table=254'], new RegExp(`^wgts calico: route table 254 cannot be used: choose one .*${help}`)],
  ])(
    '%j: names the mistake and where to find help, and exits with status 2 before it changes anything',
    async (more, says) => {
      const { status, err } = await run(program(...more));
      expect([status, err]).toEqual([2, expect.stringMatching(says)]);
      expect(existsSync(join(folder, 'keys'))).toBe(false);
    },
  );
});
