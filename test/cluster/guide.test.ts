/**
 * Runs the commands of docs/en/calico*.md, in the guide's own text and order, against a real API
 * server with three nodes, Calico's kinds and no kubelet. The expected effect stands beside each
 * name; docs/zh has the same commands (test/rules/docs-commands.test.ts).
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guides, REPOSITORY } from '../support/guide.ts';
import { Administrator, type Ran } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { helmProgram } from './helm.ts';
import { calicoNode } from './install-steps.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';
import { OTHER_CRDS } from './other-crds.ts';

const MIXED = join(REPOSITORY, 'deploy/examples/mixed-cluster');
const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const OTHER_KEY = 'AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

interface Check {
  /** Commands of another page that come first. */
  readonly before?: () => void;
  readonly after: (ran: Ran) => void;
  /** Set if the commands are expected to fail. */
  readonly status?: number;
}

/** Defaults that Calico's CRD fills into every FelixConfiguration. */
const FILLED_IN = { nftablesFlowTableOffload: 'Disabled', nftablesMode: 'Auto' };
/** The checks, by the names in the markers. */
const CHECKS: Readonly<Record<string, Check>> = {
  'see what would be installed': {
    before: () => create(calicoNode('kube-system', [{ name: 'DATASTORE_TYPE', value: 'kubernetes' }])),
    status: 1,
    after: ({ out, err }) => {
      expect(err).toMatch(/^Installation: manifest, into kube-system$/m);
      expect(out).toMatch(/^\+ +image: registry\.example\/wireguard-ts:0\.2\.0$/m);
      expect(daemonSets('kube-system')).toEqual([]);
    },
  },
  'install by wgts': {
    after: () => expect(daemonSets('kube-system')).toEqual(['wireguard-ts', 'wireguard-ts-labeller']),
  },
  'install by kustomize': {
    after: () => expect(daemonSets('kube-system')).toEqual(['wireguard-ts', 'wireguard-ts-labeller']),
  },
  'install by Helm': {
    before: () => server.ask(['delete', '-k', MIXED]),
    after: () => {
      expect(daemonSets('kube-system')).toEqual(['wireguard-ts', 'wireguard-ts-labeller']);
      const inFolder = (command: string) => server.shell(command, folder, join(folder, 'bin'));
      expect(inFolder('wgts calico uninstall').err).toMatch(
        /^Note: the Helm release wireguard-ts keeps its own record/m,
      );
      expect(inFolder('wgts calico install --apply')).toMatchObject({
        status: 1,
        err: expect.stringMatching(/^Error: the agent in kube-system belongs to the Helm release wireguard-ts$/m),
      });
      const { status, err } = inFolder('helm uninstall wireguard-ts -n kube-system');
      expect(status, err).toBe(0);
      expect(daemonSets('kube-system')).toEqual([]);
      server.ask(['apply', '-k', MIXED]);
    },
  },
  'show the labels of the nodes': {
    before: () => server.ask(['label', 'node', 'worker-1', 'wireguard-ts.io/kernel-module=present']),
    after: ({ out }) => {
      expect(out).toMatch(/^NAME .* KERNEL-MODULE$/m);
      expect(out).toMatch(/^worker-1 .* present$/m);
    },
  },
  'label a node by hand': {
    after: () => expect(read('node/worker-3', '.metadata.labels.wireguard-ts\\.io/kernel-module')).toBe('absent'),
  },
  'doctor tells what the machine offers': { after: ({ out }) => expect(out).toMatch(/^backend +auto takes /m) },
  'verify tells of every pair': {
    // One of three nodes has a key.
    status: 1,
    after: ({ out }) => {
      expect(out).toMatch(/^FAMILY +NODE +NODE +STATE/);
      expect(out).toMatch(/^IPv4 +worker-1 +worker-2 +PLAINTEXT .*worker-1: no-key, worker-2: no-key$/m);
      expect(out).toMatch(/^IPv4 +worker-1 +worker-3 +PLAINTEXT .*worker-1: no-key$/m);
      expect(out).toMatch(/^IPv4 +worker-2 +worker-3 +PLAINTEXT .*worker-2: no-key$/m);
    },
  },
  'verify from files': {
    before: () => server.ask(['annotate', 'node', 'worker-2', `projectcalico.org/WireguardPublicKey=${OTHER_KEY}`]),
    status: 1,
    after: ({ out }) => {
      expect(out).toMatch(/^IPv4 +worker-1 +worker-2 +PLAINTEXT .*worker-1: no-key$/m);
      expect(out).toMatch(/^IPv4 +worker-2 +worker-3 +encrypted/m);
      server.ask(['annotate', 'node', 'worker-2', 'projectcalico.org/WireguardPublicKey-']);
    },
  },
  'enable WireGuard': { after: () => expect(felix('default')).toMatchObject({ wireguardEnabled: true }) },
  'enable WireGuard for IPv6': { after: () => expect(felix('default')).toMatchObject({ wireguardEnabledV6: true }) },
  'read the key of a node': { after: ({ out }) => expect(out).toBe(KEY) },
  'read the keys of all nodes': {
    after: ({ out }) => {
      expect(out.split('\n')[0]).toMatch(/^NODE +KEY +ADDRESS$/);
      expect(out).toContain(KEY);
      expect(out).toMatch(/^worker-1 +<none> +<none>$/m);
    },
  },
  'disable WireGuard on one node': {
    after: () =>
      expect(felix('node.worker-3')).toEqual({ ...FILLED_IN, wireguardEnabled: false, wireguardEnabledV6: false }),
  },
  'enable WireGuard on that node again': {
    after: () =>
      expect(felix('node.worker-3')).toEqual({ ...FILLED_IN, wireguardEnabled: true, wireguardEnabledV6: true }),
  },
  'show what would be removed': {
    after: ({ out }) => {
      expect(out).toMatch(/^ {3}DaemonSet kube-system\/wireguard-ts$/m);
      expect(out).toMatch(/Remove the label wireguard-ts\.io\/kernel-module from: worker-1, worker-3$/m);
    },
  },
  'disable WireGuard': {
    after: () => expect(felix('default')).toMatchObject({ wireguardEnabled: false, wireguardEnabledV6: false }),
  },
  'remove the agent': {
    after: () => {
      expect(daemonSets('kube-system')).toEqual([]);
      expect(server.ask(['get', 'clusterroles,clusterrolebindings,roles,rolebindings', '-A'])).not.toContain(
        'wireguard',
      );
    },
  },
  'remove a key by hand': {
    after: () => expect(read('node/worker-3', '.metadata.annotations.projectcalico\\.org/WireguardPublicKey')).toBe(''),
  },
  'enable host encryption': {
    after: () => expect(felix('default')).toMatchObject({ wireguardHostEncryptionEnabled: true }),
  },
  'option A on one node': { after: () => expect(felix('node.worker-3')).toMatchObject({ wireguardEnabled: false }) },
  'failsafe ports': {
    after: () => {
      const ports = felix('default') as Record<string, { port: number; protocol: string }[]>;
      for (const list of ['failsafeInboundHostPorts', 'failsafeOutboundHostPorts']) {
        expect(ports[list]).toContainEqual({ protocol: 'udp', port: 51820 });
        // Calico's own failsafe ports, without which a host is cut off.
        expect(ports[list]).toContainEqual({ protocol: 'tcp', port: 6443 });
      }
    },
  },
  'one MTU for all': {
    after: () => expect(felix('default')).toMatchObject({ wireguardMTU: 1440, wireguardMTUV6: 1420 }),
  },
  'install for the operator': { after: () => expect(agentEnv('calico-system')).toEqual(['NODENAME']) },
  'install for EKS with AWS CNI': {
    after: () =>
      expect(agentEnv('calico-system')).toEqual([
        'NODENAME',
        'FELIX_ROUTESOURCE',
        'FELIX_WIREGUARDHOSTENCRYPTIONENABLED',
        'FELIX_INTERFACEPREFIX',
      ]),
  },
  'install for AKS with Azure CNI': {
    after: () => expect(agentEnv('calico-system')).toContain('FELIX_INTERFACEPREFIX'),
  },
  'install for OpenShift': {
    after: () => expect(read('securitycontextconstraints/wireguard-ts', '.allowedCapabilities')).toBe('["NET_ADMIN"]'),
  },
  'show the addresses of the nodes': {
    after: ({ out }) => expect(out).toMatch(/^worker-3 +10\.0\.0\.3\/24 +10\.0\.0\.3$/m),
  },
  'choose the method of autodetection': {
    after: () =>
      expect(read('daemonset/calico-node', '.spec.template.spec.containers[0].env[1].value', 'kube-system')).toBe(
        'interface=eth.*',
      ),
  },
  'choose the method of autodetection for the operator': {
    before: () =>
      create({ apiVersion: 'operator.tigera.io/v1', kind: 'Installation', metadata: { name: 'default' }, spec: {} }),
    after: () =>
      expect(read('installation/default', '.spec.calicoNetwork.nodeAddressAutodetectionV4.interface')).toBe('eth.*'),
  },
  'the policy is in force': {
    before: () => server.ask(['apply', '-k', MIXED]),
    after: ({ out }) => expect(out).toMatch(/^wireguard-ts-own-node-only +wireguard-ts-own-node-only/m),
  },
  'the first look': {
    before: () =>
      create({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'worker-3.1', namespace: 'default' },
        involvedObject: { apiVersion: 'v1', kind: 'Node', name: 'worker-3' },
        reason: 'DuplicatePublicKey',
        message: 'worker-2 has the same key',
      }),
    after: ({ out }) => expect(out).toMatch(/DuplicatePublicKey +node\/worker-3 +worker-2 has the same key/),
  },
  'what the agent may do': { after: ({ out }) => expect(out).toBe('yes\nyes\nyes\n') },
};

let plane: ControlPlane;
let server: Administrator;
const folder = mkdtempSync(join(tmpdir(), 'wgts-guide-'));

describeCluster('the guide on a real API server', () => {
  beforeAll(async () => {
    mkdirSync(join(folder, 'bin'));
    writeFileSync(
      join(folder, 'bin/wgts'),
      `#!/bin/sh\nexec '${process.execPath}' '${REPOSITORY}dist/program/wgts.cjs' "$@"\n`,
      { mode: 0o755 },
    );
    symlinkSync(await helmProgram(), join(folder, 'bin/helm'));
    symlinkSync(join(REPOSITORY, 'deploy'), join(folder, 'deploy'));
    plane = await startControlPlane();
    server = await Administrator.of(plane);
    await plane.apply(...calicoCrds('projectcalico.org/v3'));
    await plane.apply(...OTHER_CRDS);
    server.ask(['create', 'namespace', 'calico-system']);
    for (const number of [1, 2, 3]) {
      const annotations = {
        'projectcalico.org/IPv4Address': `10.0.0.${number}/24`,
        ...(number === 3 && {
          'projectcalico.org/WireguardPublicKey': KEY,
          'projectcalico.org/IPv4WireguardInterfaceAddr': '192.168.3.1',
        }),
      };
      create({ apiVersion: 'v1', kind: 'Node', metadata: { name: `worker-${number}`, annotations } });
      const status = { addresses: [{ type: 'InternalIP', address: `10.0.0.${number}` }] };
      server.ask(['patch', 'node', `worker-${number}`, '--subresource=status', '-p', JSON.stringify({ status })]);
    }
    const example = readFileSync(join(REPOSITORY, 'deploy/examples/felixconfiguration.yaml'), 'utf8');
    server.ask(['create', '-f', '-'], example.replace('wireguardEnabled: true', 'wireguardEnabled: false'));
  }, KUBECTL_LIMIT_MS);
  afterAll(async () => {
    await plane?.stop();
    rmSync(folder, { recursive: true });
  });

  // The guide itself before further pages.
  const calico = guides('en').filter(({ name }) => name.startsWith('calico'));
  const pages = calico.sort((a, b) => Number(b.name === 'calico.md') - Number(a.name === 'calico.md'));
  describe.each(pages.map(page => [page.name, page] as const))('%s', (_, page) => {
    const blocks = page.commands.filter(({ marker }) => marker?.kind === 'run' && marker.says in CHECKS);
    test.each(blocks.map(block => [block.marker!.says, block] as const))('%s', (name, { text }) => {
      const { before, after, status = 0 } = CHECKS[name]!;
      before?.();
      const ran = server.shell(text, folder, join(folder, 'bin'));
      expect(ran.status, ran.err).toBe(status);
      after(ran);
    });
  });

  test('every check belongs to a block', () => {
    const named = pages.flatMap(({ commands }) => commands.map(({ marker }) => marker?.says));
    for (const name of Object.keys(CHECKS)) expect(named.filter(each => each === name)).toEqual([name]);
  });
});

function felix(name: string): object {
  return JSON.parse(read(`felixconfiguration/${name}`, '.spec')) as object;
}

function daemonSets(namespace: string): string[] {
  return read('daemonset', '.items[*].metadata.name', namespace)
    .split(' ')
    .filter(name => name.startsWith('wireguard'));
}

function agentEnv(namespace: string): string[] {
  return read('daemonset/wireguard-ts', '.spec.template.spec.containers[0].env[*].name', namespace).split(' ');
}

function read(what: string, path: string, namespace?: string): string {
  return server.ask(['get', what, ...(namespace ? ['-n', namespace] : []), '-o', `jsonpath={${path}}`]);
}

function create(object: object): void {
  server.ask(['create', '-f', '-'], JSON.stringify(object));
}
