/**
 * Hand-overs between two versions of the program: another version takes over and hands back, and a
 * version that cannot read the state is refused while the device goes on. The other versions are
 * copies of this one with other numbers.
 *
 * @module-tag slow
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { ENGINE_STATE_VERSION } from '../../src/protocol/engine-state.ts';
import { printed, type Running } from './command.ts';
import { ROOT } from './device.ts';
import { describeWith, NETWORK } from './needs.ts';
import { type Host, INNER_B, type Pair, tunnelPair } from './pair.ts';
import { handOver, startSuccessor } from './successor.ts';
import { mustPing } from './traffic.ts';

const OTHER_VERSION = '9.8.7';
const folders: string[] = [];
let pair: Pair | undefined;

afterEach(async () => {
  await pair?.close();
  pair = undefined;
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/**
 * Makes a copy of the program with another version.
 * @param states by how much the version of the engine's state is higher
 * @returns the path of its command
 */
function otherVersion(states: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-version-'));
  folders.push(folder);
  for (const part of ['dist', 'package.json'])
    cpSync(join(ROOT, part), join(folder, part), {
      recursive: true,
      filter: source => !source.startsWith(join(ROOT, 'dist/program')),
    });
  for (const part of ['native', 'node_modules']) symlinkSync(join(ROOT, part), join(folder, part));
  replaceOnce(join(folder, 'package.json'), /"version": "[^"]*"/, `"version": "${OTHER_VERSION}"`);
  const raised = ENGINE_STATE_VERSION + states;
  if (states > 0)
    replaceOnce(join(folder, 'dist/protocol/engine-state.js'), /STATE_VERSION = \d+/, `STATE_VERSION = ${raised}`);
  const command = join(folder, 'wireguard-ts');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${folder}/dist/cli/wireguard-ts.js' "$@"\n`);
  chmodSync(command, 0o755);
  return command;
}

function replaceOnce(path: string, pattern: RegExp, by: string): void {
  const text = readFileSync(path, 'utf8');
  const replaced = text.replace(pattern, by);
  if (replaced === text) throw new Error(`${path} has no ${pattern}`);
  writeFileSync(path, replaced);
}

/** Starts a successor and waits for its end. */
async function refusedSuccessor({ namespace, device }: Host, command?: string): Promise<Running> {
  const successor = startSuccessor(namespace, device.name, command === undefined ? {} : { command: [command] });
  await successor.exited;
  return successor;
}

describeWith(NETWORK, 'two versions of the program', () => {
  it('hand the device over and back, with its session', async () => {
    const other = otherVersion(0);
    pair = await tunnelPair();
    const { a } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    const { latestHandshake } = await a.device.peer();
    const second = await handOver(a.namespace, a.device, a.device.process!, { command: [other] });
    await printed(second, /took over from process \d+/);
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    await handOver(a.namespace, a.device, second);
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    expect((await a.device.peer()).latestHandshake).toBe(latestHandshake);
  });

  it('whose states differ refuse each other with status 4, in both directions, and the device goes on', async () => {
    const newer = otherVersion(1);
    pair = await tunnelPair({ b: newer });
    const { a, b } = pair;
    await mustPing(a.namespace, INNER_B[4]);
    const handshakes = [await a.device.peer(), await b.device.peer()].map(peer => peer.latestHandshake);
    const ofNewer = await refusedSuccessor(a, newer);
    const ofOlder = await refusedSuccessor(b);
    for (const refused of [ofNewer, ofOlder]) {
      expect(refused.result()?.code).toBe(4);
      expect(refused.output()).toMatch(/it cannot read the running program's state .*start the new one/);
    }
    expect(ofOlder.output()).toContain(`program ${OTHER_VERSION}`);
    await mustPing(a.namespace, INNER_B[4], { count: 3 });
    expect([await a.device.peer(), await b.device.peer()].map(peer => peer.latestHandshake)).toEqual(handshakes);
  });
});
