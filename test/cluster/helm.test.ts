/**
 * The Helm chart installs the same objects as kustomize, for each installation and for combinations
 * of components. Where the order means nothing, it may differ.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { beforeAll, describe, expect, test } from 'vitest';
import { imageChange } from '../../src/calico/install/render/image.ts';
import { COMPONENTS, INSTALLATION_NAMES, renderChoice } from '../../src/calico/install/render/manifests.ts';
import { hasFields, type Resource } from '../../src/calico/model/resource.ts';
import { DEPLOY, deployTree } from '../support/deploy-tree.ts';
import { COMBINATIONS, type Combination } from './combinations.ts';
import { describeCluster } from './control-plane.ts';
import { helmProgram } from './helm.ts';
import { KUBECTL_LIMIT_MS } from './kubectl.ts';

const CHART = join(DEPLOY, 'helm/wireguard-ts');
const tree = await deployTree();
const chart = tree.value(readFileSync(join(CHART, 'Chart.yaml'), 'utf8')) as { version: string; appVersion: string };
const values = tree.value(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as { components: Record<string, boolean> };
const IMAGE = ['--set=image.repository=registry.example:5000/wireguard-ts', '--set=image.tag=9.8.7'];
const SHA = `sha256:${'a'.repeat(64)}`;

let helm: string;
describeCluster('the Helm chart', () => {
  beforeAll(async () => {
    helm = await helmProgram();
  }, KUBECTL_LIMIT_MS);

  test('passes helm lint, with each installation', () => {
    for (const name of INSTALLATION_NAMES) {
      const { status, out } = run('lint', '--strict', CHART, `--set=installation=${name}`);
      expect(out).toMatch(/1 chart\(s\) linted, 0 chart\(s\) failed/);
      expect(status).toBe(0);
    }
  });

  test.each(COMBINATIONS.map(each => [each.installation, each.components, each] as const))('%s %s', (_, __, each) => {
    const image = imageChange('registry.example:5000/wireguard-ts:9.8.7')!;
    const { installation, components } = each;
    const ours = renderChoice(tree, { installation, components: components as never, env: [], image });
    expect(byName(template(...settings(each), ...IMAGE))).toEqual(byName(ours));
  });

  test('has every component of deploy/', () => {
    const names = COMPONENTS.filter(name => name !== 'before-1.30').map(valueName);
    expect(Object.keys(values.components).sort()).toEqual(names.sort());
  });

  describe('the image', () => {
    const images = (...args: string[]) => [
      ...new Set(
        JSON.stringify(template(...args))
          .match(/"image":"[^"]*"/g)!
          .map(text => text.slice(9, -1)),
      ),
    ];
    test.each([
      [[], [`wireguard-ts:${chart.appVersion}`]],
      [['--set=image.repository=a/b'], [`a/b:${chart.appVersion}`]],
      [[`--set=image.digest=${SHA}`], [`wireguard-ts@${SHA}`]],
      [[`--set=image.digest=${SHA}`, '--set=image.tag=v1'], [`wireguard-ts:v1@${SHA}`]],
    ])('%s', (args, expected) => {
      expect(images(...args, '--set=components.hostEncryption=true')).toEqual(expected);
    });
  });

  test('the version of Kubernetes decides on own-node-only, unless a value does', () => {
    const hasPolicy = (...args: string[]) => JSON.stringify(template(...args)).includes('own-node-only');
    expect(hasPolicy('--kube-version=1.29.9')).toBe(false);
    expect(hasPolicy('--kube-version=1.30.0')).toBe(true);
    expect(hasPolicy('--kube-version=v1.30.2-eks-1de2ab1')).toBe(true);
    expect(hasPolicy('--kube-version=1.29.9', '--set=ownNodeOnly=always')).toBe(true);
    expect(hasPolicy('--kube-version=1.36.0', '--set=ownNodeOnly=never')).toBe(false);
  });

  test('variables of calico-node come last', () => {
    const [set] = template('--set-json=env=[{"name":"FELIX_INTERFACEPREFIX","value":"eni"}]').filter(
      ({ kind, metadata }) => kind === 'DaemonSet' && metadata.name === 'wireguard-ts',
    );
    const { containers } = (set!['spec'] as { template: { spec: { containers: { env: object[] }[] } } }).template.spec;
    expect(containers[0]!.env.at(-1)).toEqual({ name: 'FELIX_INTERFACEPREFIX', value: 'eni' });
  });

  test.each([
    ['--set=installation=other', /installation/],
    ['--set=components.nonsense=true', /nonsense/],
    ['--set=components.metrics=1', /metrics/],
    ['--set=image.digest=abc', /digest/],
    ['--set=nonsense=1', /nonsense/],
    ['--set=ownNodeOnly=true', /ownNodeOnly/],
  ])('%s is refused', (setting, message) => {
    const { status, err } = run('template', CHART, setting);
    expect([status, err]).toEqual([1, expect.stringMatching(message)]);
  });
});

test('the chart has the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(DEPLOY, '../package.json'), 'utf8')) as { version: string };
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
});

function run(...args: string[]): { status: number | null; out: string; err: string } {
  // It must not read a configuration of this machine.
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent' };
  const { status, stdout, stderr, error } = spawnSync(helm, args, { encoding: 'utf8', env });
  if (error) throw error;
  return { status, out: stdout, err: stderr };
}

function template(...args: string[]): Resource[] {
  const { status, out, err } = run('template', 'release-of-a-test', CHART, ...args);
  expect(status, err).toBe(0);
  return loadAllYaml(out).filter(hasFields) as unknown as Resource[];
}

function settings({ installation, components }: Combination): string[] {
  const old = components.includes('before-1.30');
  const names = components
    .filter(name => name !== 'before-1.30')
    .map(name => `--set=components.${valueName(name)}=true`);
  return [`--set=installation=${installation}`, `--kube-version=${old ? '1.29.0' : '1.30.0'}`, ...names];
}

/** Returns the name of a component in values.yaml: fail-closed is failClosed. */
function valueName(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function byName(objects: readonly Resource[]): Record<string, unknown> {
  return Object.fromEntries(
    objects.map(object => {
      const { apiVersion, kind, metadata } = object;
      return [`${apiVersion} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`, unordered(object)];
    }),
  );
}

/** Sorts the lists whose order means nothing: rules, variables, volumes, options after --http. */
function unordered(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map(each => unordered(each));
    const begin = name === 'args' ? 3 : 0;
    if (!['rules', 'env', 'volumes', 'args'].includes(name)) return items;
    const rest = items.slice(begin).map(each => JSON.stringify(each));
    return [...items.slice(0, begin), ...rest.sort()];
  }
  if (!hasFields(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, unordered(value[key], key)]),
  );
}
