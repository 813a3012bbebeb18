/**
 * The program's own part of kustomize builds the same objects as kubectl, for each folder of
 * deploy/ and for combinations of components.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { beforeAll, describe, expect, test } from 'vitest';
import { imageChange } from '../../src/calico/install/render/image.ts';
import { renderFolder, renderKustomization } from '../../src/calico/install/render/kustomize.ts';
import { COMPONENTS, INSTALLATIONS, renderChoice } from '../../src/calico/install/render/manifests.ts';
import type { Resource } from '../../src/calico/model/resource.ts';
import { DEPLOY, deployTree } from '../support/deploy-tree.ts';
import { COMBINATIONS } from './combinations.ts';
import { describeCluster } from './control-plane.ts';
import { KUBECTL_LIMIT_MS, kubectlProgram } from './kubectl.ts';
import { withOverlay } from './overlay.ts';

const tree = await deployTree();
const byName = (objects: readonly unknown[]): Record<string, unknown> =>
  Object.fromEntries(
    (objects as Resource[]).map(object => [
      `${object.apiVersion} ${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`,
      object,
    ]),
  );

let kubectl: string;
describeCluster('kubectl kustomize builds the same', () => {
  beforeAll(async () => {
    kubectl = await kubectlProgram();
  }, KUBECTL_LIMIT_MS);

  const folders = ['base', ...Object.values(INSTALLATIONS)];
  test.each(folders)('deploy/%s', folder => {
    expect(byName(renderFolder(tree, folder))).toEqual(byName(kustomize(join(DEPLOY, folder))));
  });

  test.each(COMBINATIONS.map(each => [each.installation, each.components, each] as const))('%s %s', (_, __, each) => {
    const { installation, components } = each;
    const theirs = withOverlay(INSTALLATIONS[installation], components, kustomize, IMAGES);
    const image = imageChange('registry.example:5000/team/wireguard-ts:9.8.7')!;
    const ours = renderChoice(tree, { installation, components: components as never, env: [], image });
    expect(byName(ours)).toEqual(byName(theirs));
    expect(JSON.stringify(ours)).toContain('"image":"registry.example:5000/team/wireguard-ts:9.8.7"');
    expect(JSON.stringify(ours)).not.toContain('"image":"wireguard-ts');
  });

  describe('images', () => {
    test.each([
      '{ name: wireguard-ts, newName: other/name }',
      '{ name: wireguard-ts, newTag: v1 }',
      `{ name: wireguard-ts, digest: "sha256:${'a'.repeat(64)}" }`,
      `{ name: wireguard-ts, newName: a.example/b, newTag: v1, digest: "sha256:${'a'.repeat(64)}" }`,
      '{ name: absent, newTag: v1 }',
    ])('%s', image => {
      const theirs = withOverlay('manifest-install', [], kustomize, `images: [${image}]`);
      const content = tree.value(`{ resources: [manifest-install], images: [${image}] }`);
      expect(byName(renderKustomization(tree, '', content))).toEqual(byName(theirs));
    });
  });

  test('an overlay that still lists own-node-only builds the same as without it', () => {
    const [listed, absent] = [['own-node-only'], []].map(names => withOverlay('manifest-install', names, kustomize));
    expect(byName(listed!)).toEqual(byName(absent!));
    expect(Object.keys(byName(absent!)).join()).toContain('wireguard-ts-own-node-only');
  });
});

const IMAGES = 'images: [{ name: wireguard-ts, newName: "registry.example:5000/team/wireguard-ts", newTag: 9.8.7 }]';

test('every component of deploy/ can be chosen', () => {
  const folders = readdirSync(join(DEPLOY, 'components'));
  expect([...COMPONENTS, 'own-node-only'].sort()).toEqual(folders.sort());
});

function kustomize(folder: string): unknown[] {
  const { status, stdout, stderr } = spawnSync(kubectl, ['kustomize', folder], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return loadAllYaml(stdout) as unknown[];
}
