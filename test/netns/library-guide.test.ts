/**
 * docs/en/library.md in a project of its own: the package is packed and installed as the guide
 * says, and the program of examples/status.mjs reads a live device.
 *
 * @module-tag slow
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fences, guides, REPOSITORY } from '../support/guide.ts';
import { run } from './command.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { WGTS } from './quick-host.ts';

const GUIDE = guides('en').find(({ name }) => name === 'library.md')!;
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  'install the library': ['node_modules/wireguard-ts/dist/index.d.ts', 'node_modules/wireguard-ts/native'],
};

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab?.close());

describeWith([...NETWORK, 'bash'], 'the library guide', () => {
  it('its package installs and its program shows the devices of the machine', async () => {
    const project = join(lab.directory, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{"private":true}');
    symlinkSync(REPOSITORY, join(lab.directory, 'wireguard-ts'));
    const env = { npm_config_prefer_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false' };
    for (const { marker, text } of GUIDE.commands) {
      await run(['bash', '--norc', '-euo', 'pipefail', '-c', text], { cwd: project, env, timeout: 580_000 });
      for (const path of CHECKS[marker!.says]!) await run(['test', '-e', join(project, path)]);
    }
    writeFileSync(join(project, 'status.mjs'), fences(GUIDE.text, 'js').find(text => text.includes('toJson'))!);

    const namespace = await lab.namespace('library');
    const name = lab.interfaceName();
    const peer = keyPair().publicKey;
    const file = lab.file(
      `[Interface]\nPrivateKey = ${keyPair().privateKey}\n[Peer]\nPublicKey = ${peer}\nEndpoint = 192.0.2.1:51820\n`,
      `${name}.conf`,
    );
    await namespace.run([...WGTS, 'up', file]);
    const { stdout } = await namespace.run([process.execPath, 'status.mjs', name], { cwd: project });
    const status = JSON.parse(stdout) as { name: string; peers: object[] };
    expect(status.name).toBe(name);
    expect(status.peers).toEqual([
      expect.objectContaining({ publicKey: peer, endpoint: '192.0.2.1:51820', latestHandshake: null }),
    ]);
    await namespace.run([...WGTS, 'down', file]);
  });
});
