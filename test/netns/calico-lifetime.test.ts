/**
 * What happens to the tunnel when the agent, its container, or the tunnel's own process ends: as
 * docs/en/calico-felix.md describes.
 *
 * @module-tag slow
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keyText } from '../calico/agent/cluster.ts';
import { type Running, run, until } from './command.ts';
import { SOCKET_DIRECTORY } from './device.ts';
import { Lab, type Namespace } from './lab.ts';
import { describeWith, NETWORK } from './needs.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const TUNNEL = /10\.42\.1\.0\/26 dev/;
const CLUSTER = `apiVersion: crd.projectcalico.org/v1
kind: FelixConfiguration
metadata: {name: default}
spec: {wireguardEnabled: true}
---
apiVersion: v1
kind: Node
metadata: {name: me, annotations: {projectcalico.org/IPv4Address: 192.0.2.1/24}}
---
apiVersion: v1
kind: Node
metadata:
  name: you
  annotations:
    projectcalico.org/IPv4Address: 192.0.2.2/24
    projectcalico.org/WireguardPublicKey: ${keyText(7)}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.42.0.0/16}
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-42-1-0-26}
spec: {cidr: 10.42.1.0/26, affinity: 'host:you', allocations: [], unallocated: [], attributes: []}
`;

describeWith([...NETWORK, 'unshare'], 'the tunnel', () => {
  const lab = new Lab();
  const name = lab.interfaceName();
  let node: Namespace;
  let agent: Running | undefined;

  const options = (): string[] => [
    ...['calico', '--cluster-from', join(lab.directory, 'cluster.yaml'), '--node', 'me', '--interface', name],
    ...['--key-dir', join(lab.directory, 'keys'), '--http', 'off'],
  ];
  const begin = async (...before: string[]): Promise<Running> => {
    agent = node.start([...before, process.execPath, WGTS, ...options()]);
    // The rule is set last.
    await until('the tunnel', async () => TUNNEL.test(await routes()) && /lookup 51820/.test(await rules()));
    return agent;
  };
  const routes = async (): Promise<string> =>
    (await node.run(['ip', 'route', 'show', 'table', '51820'], { mayFail: true })).stdout;
  const rules = async (): Promise<string> => (await node.run(['ip', 'rule'])).stdout;
  /** Returns the pid of the tunnel's process. */
  const pid = async (): Promise<string | undefined> => {
    const { stdout } = await run(['ps', '-eo', 'pid=,args=']);
    const line = stdout.split('\n').find(each => /wireguard-ts\.c?js/.test(each) && each.trimEnd().endsWith(name));
    return line?.trim().split(/\s+/)[0];
  };

  beforeAll(async () => {
    node = await lab.namespace('node');
    await lab.cable(node, 'eth0', ['192.0.2.1/24'], await lab.namespace('other'), 'eth0', ['192.0.2.2/24']);
    lab.file(CLUSTER, 'cluster.yaml');
    lab.owns(join(SOCKET_DIRECTORY, `${name}.sock`));
  });
  afterEach(async () => {
    await agent?.stop('SIGKILL');
    await node.run([process.execPath, WGTS, ...options(), '--withdraw']);
  });
  afterAll(() => lab.close());

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'survives an agent that ends by %s, and the next agent takes it over',
    async signal => {
      const first = await begin();
      const process = await pid();
      expect(process).toBeDefined();
      await first.stop(signal);
      expect(await pid()).toBe(process);
      expect(await routes()).toMatch(TUNNEL);
      expect(await rules()).toContain('lookup 51820');
      const next = await begin();
      await until('the next agent', () => next.output().includes('EncryptionReady'));
      expect(await pid()).toBe(process);
    },
  );

  test("ends with the container's first process; its link stays, and the next agent adopts it", async () => {
    await begin('unshare', '--pid', '--fork', '--kill-child', '--mount-proc');
    expect(await pid()).toBeDefined();
    await agent!.stop('SIGKILL');
    await until('the end of the tunnel', async () => (await pid()) === undefined);
    // What pods send to encrypted nodes still goes into the link, and is lost there.
    expect((await node.run(['ip', 'link', 'show', name])).stdout).toContain('NO-CARRIER');
    expect(await routes()).toMatch(TUNNEL);
    expect(await routes()).toContain('unreachable 10.42.1.0/26');
    expect(await rules()).toContain('lookup 51820');
    const next = await begin();
    await until('the adoption', () => next.output().includes('adopted, because its process died'));
    await until('the next agent', () => next.output().includes('EncryptionReady'));
    expect(await pid()).toBeDefined();
  });

  test('is recreated by the agent when its process ends', async () => {
    await begin();
    const before = await pid();
    process.kill(Number(before), 'SIGKILL');
    await until('another process', async () => {
      const now = await pid();
      return now !== undefined && now !== before && TUNNEL.test(await routes());
    });
  });
});
