/** `wgts verify` reports settings of Felix's data plane that affect the tunnel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SystemBackend } from '../../src/backend/system.ts';
import { verify } from '../../src/cli/commands/verify.ts';
import { keyText } from '../calico/agent/cluster.ts';
import { runCommand } from './terminal-for-test.ts';

const felix = (name: string, spec: object): object => ({
  apiVersion: 'crd.projectcalico.org/v1',
  kind: 'FelixConfiguration',
  metadata: { name },
  spec,
});
const node = (name: string, number: number): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    annotations: {
      'projectcalico.org/IPv4Address': `10.0.0.${number}/24`,
      'projectcalico.org/WireguardPublicKey': keyText(number),
    },
  },
});
const noDevices = (): SystemBackend => ({ list: async () => [], close: () => {} }) as unknown as SystemBackend;

test('names the object and why it matters', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-verify-'));
  try {
    const file = join(folder, 'cluster.json');
    const items = [
      felix('default', { wireguardEnabled: true }),
      felix('node.a', { bpfEnabled: true }),
      felix('node.b', { bpfEnabled: false, routeSyncDisabled: true }),
      node('a', 1),
      node('b', 2),
    ];
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const run = (...args: string[]) => runCommand(verify, ['--cluster-from', file, ...args], noDevices);
    const { status, err } = await run();
    expect(status).toBe(0);
    expect(err).toMatch(/^FelixConfiguration\/node\.a: EbpfDataPlane: bpfEnabled is true\. Calico 3\.32\.0 and /m);
    expect(err).toMatch(/^FelixConfiguration\/node\.b: RouteSyncDisabled: /m);
    const { problems } = JSON.parse((await run('--json')).out) as { problems: { reason: string }[] };
    expect(problems.map(({ reason }) => reason)).toEqual(['EbpfDataPlane', 'RouteSyncDisabled']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('reports a selector that cannot be parsed and so selects nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-verify-'));
  try {
    const file = join(folder, 'cluster.json');
    const items = [felix('racks', { wireguardEnabled: true, nodeSelector: "rack = 'r1'" }), node('a', 1), node('b', 2)];
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const { err } = await runCommand(verify, ['--cluster-from', file], noDevices);
    expect(err).toMatch(
      /^FelixConfiguration\/racks: InvalidSelector: nodeSelector "rack = 'r1'" cannot be parsed and matches no node: /m,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
