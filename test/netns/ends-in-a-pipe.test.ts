/**
 * A command that starts a device closes its output when it ends, so `$(...)` and a pipe continue
 * while the device lives.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keyText } from '../calico/agent/cluster.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { keyPair } from './keys.ts';
import { Lab } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';
import { QuickHost, WGTS } from './quick-host.ts';

const cluster = (isEnabled: boolean) => `apiVersion: crd.projectcalico.org/v1
kind: FelixConfiguration
metadata: {name: default}
spec: {wireguardEnabled: ${isEnabled}}
---
apiVersion: v1
kind: Node
metadata: {name: me, annotations: {projectcalico.org/IPv4Address: 192.0.2.2/24}}
---
apiVersion: v1
kind: Node
metadata:
  name: you
  annotations:
    projectcalico.org/IPv4Address: 192.0.2.1/24
    projectcalico.org/WireguardPublicKey: ${keyText(7)}
`;

let lab: Lab;
let host: QuickHost;
beforeEach(async () => {
  lab = new Lab();
  host = await QuickHost.start(lab, 'host');
  host.write(
    `[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = ${keyPair().privateKey}\n[Peer]\nPublicKey = ${keyPair().publicKey}\nAllowedIPs = 10.9.0.0/24\n`,
  );
});
afterEach(() => lab?.close());

/**
 * Runs a shell line with the command as "$@". If it waited for the device, `run` would kill it and
 * there would be no status.
 */
const shell = (line: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  host.namespace.run(['bash', '-c', line, 'bash', ...argv], { env, mayFail: true });

const LINES = [
  ['$(...)', 'said=$("$@" 2>&1); echo "status $?"; echo "$said"'],
  ['a pipe', '"$@" 2>&1 | cat; echo "status $PIPESTATUS"'],
] as const;

const LEVELS = [{}, { LOG_LEVEL: 'verbose' }];

describeWith([...NETWORK, 'nft'], 'a command that leaves a device running', () => {
  it.each(LINES)('wgts up ends in %s', async (_, line) => {
    for (const env of LEVELS) {
      const { code, stdout } = await shell(line, [...WGTS, 'up', '--backend=userspace', host.file], env);
      expect([code, stdout]).toEqual([0, expect.stringContaining('status 0\n')]);
      expect(await host.devicePid()).toBeGreaterThan(1);
      expect((await host.wgts('down')).code).toBe(0);
    }
  });

  it.each(LINES)('wgts calico --once ends in %s', async (_, line) => {
    lab.file(cluster(true), 'cluster.yaml');
    lab.owns(join(SOCKET_DIRECTORY, `${host.name}.sock`));
    const options = ['--node=me', '--cluster-from', join(lab.directory, 'cluster.yaml'), '--interface', host.name];
    const calico = [...WGTS, 'calico', ...options, '--key-dir', join(lab.directory, 'keys'), '--backend=userspace'];
    for (const env of LEVELS) {
      const { code, stdout } = await shell(line, [...calico, '--once'], env);
      expect([code, stdout]).toEqual([0, expect.stringContaining('status 0\n')]);
      expect(stdout).not.toContain('WireGuard is off');
      expect(await host.devicePid()).toBeGreaterThan(1);
      expect((await host.namespace.run([...calico, '--withdraw'])).code).toBe(0);
    }
    lab.file(cluster(false), 'off.yaml');
    const off = calico.map(word => word.replace('cluster.yaml', 'off.yaml'));
    const { code, stdout } = await shell(line, [...off, '--once']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('status 0\n')]);
    expect(stdout).toMatch(/^WireGuard is off in this cluster .*kubectl patch felixconfiguration default /m);
  });
});
