/**
 * `wgts doctor --label`: whether the kernel has WireGuard, as a label on our Node, and nothing else
 * on it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hasFamily } from '../../src/backend/choose.ts';
import { doctor } from '../../src/cli/commands/doctor.ts';
import { labelNode } from '../../src/cli/commands/label-node.ts';
import * as texts from '../../src/cli/help/texts/machine.ts';
import { parseOptions } from '../../src/cli/parse-options.ts';
import { UsageError } from '../../src/cli/terminal.ts';
import { systemNetlink } from '../../src/io/netlink.ts';
import { failure, json, reset, ScriptedApi } from '../calico/datastore/api/scripted-api.ts';
import { run } from './run-program.ts';
import { type Outcome, runCommand } from './terminal-for-test.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const LABEL = 'wireguard-ts.io/kernel-module';
const PATCH = 'PATCH /api/v1/nodes/n1';
let api: ScriptedApi;
let folder: string;
let paused: number[];

beforeEach(async () => {
  api = new ScriptedApi();
  await api.start();
  folder = mkdtempSync(join(tmpdir(), 'wgts-label-'));
  paused = [];
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

const noBackend = (): never => {
  throw new Error('no device is asked for');
};

function label(
  args: readonly string[],
  has: boolean,
  env: Record<string, string> = { NODENAME: 'n1' },
): Promise<Outcome> {
  const pause = async (milliseconds: number): Promise<void> => void paused.push(milliseconds);
  const parts = { kernelHasWireguard: async () => has, pause };
  return runCommand(
    (rest, terminal) => labelNode(parseOptions(texts.doctor, rest).values, terminal, parts),
    args,
    noBackend,
    {
      env,
    },
  );
}

test.each([
  [true, 'present'],
  [false, 'absent'],
])('labels the Node by whether the kernel has WireGuard: %s', async (has, value) => {
  const { status, out } = await label(['--kubeconfig', api.kubeconfig], has);
  expect([status, out]).toEqual([0, `Node n1: ${LABEL}=${value}\n`]);
  // One request, which needs no other right than `patch`.
  expect(api.asked).toMatchObject([
    { what: PATCH, contentType: 'application/merge-patch+json', body: { metadata: { labels: { [LABEL]: value } } } },
  ]);
});

test('labels a Node in a file', async () => {
  const file = join(folder, 'nodes.yaml');
  writeFileSync(file, `# mine\napiVersion: v1\nkind: Node\nmetadata:\n  name: n2\n  labels: {a: b}\n`);
  expect((await label(['--cluster-from', file, '--node', 'n2'], true)).status).toBe(0);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(/^# mine\n/);
  expect(text).toMatch(new RegExp(`a: b\\n +${LABEL}: present`));
  const { status, err } = await label(['--cluster-from', file, '--node', 'n3'], true);
  expect([status, err]).toEqual([1, expect.stringMatching(/n3 cannot be labelled .*has no Node "n3"/)]);
});

test('retries an unreachable server with growing delays, but not with --once', async () => {
  api.next(PATCH, reset, failure(503, 'ServiceUnavailable'), reset, json({}));
  const { status, err } = await label(['--kubeconfig', api.kubeconfig], false);
  expect(status).toBe(0);
  expect(paused).toEqual([1000, 2000, 4000]);
  expect(err.split('\n').length).toBe(4);
  api.next(PATCH, reset);
  expect((await label(['--kubeconfig', api.kubeconfig, '--once'], false)).status).toBe(1);
});

test('fails at once with status 1 when waiting cannot help', async () => {
  api.next(PATCH, failure(403, 'Forbidden', 'nodes "n1" is forbidden'));
  const { status, err } = await label(['--kubeconfig', api.kubeconfig], false);
  expect([status, paused]).toEqual([1, []]);
  expect(err).toMatch(/n1" is forbidden/);
});

test.each<[string[], RegExp]>([
  [['--label', '--json'], /--json is for the report: leave it out, or leave --label out/],
  [['--node', 'a'], /option --node needs --label/],
  [['--label', '--node', 'A b'], /--node `A b'/],
  [['--label', '--kubeconfig', 'a', '--cluster-from', 'b'], /give one of them/],
  [['--json', 'x'], /unexpected argument `x'/],
])('rejects %j before it asks the kernel', async (args, says) => {
  const outcome = runCommand(doctor, args, noBackend);
  await expect(outcome).rejects.toBeInstanceOf(UsageError);
  await expect(outcome).rejects.toThrow(says);
});

test('the program labels the Node by this machine’s kernel and exits', async () => {
  const program = [process.execPath, WGTS, 'doctor', '--label', '--kubeconfig', api.kubeconfig];
  const { status, out, err } = await run(program, { env: { NODENAME: 'n1' } });
  const value = (await hasFamily(systemNetlink)) ? 'present' : 'absent';
  expect([status, out, err]).toEqual([0, `Node n1: ${LABEL}=${value}\n`, '']);
});
