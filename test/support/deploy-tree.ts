/** The files of deploy/ as the program has them, read from the clone instead of the bundle. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocuments } from '../../src/calico/datastore/file/documents.ts';
import { loadYamlLibrary } from '../../src/calico/datastore/parse/exact-yaml.ts';
import type { DeployTree } from '../../src/calico/install/render/kustomization.ts';
import { REPOSITORY } from './guide.ts';

export const DEPLOY = join(REPOSITORY, 'deploy');

/** @param more files in addition, or instead of those of the clone, by path in deploy/ */
export async function deployTree(more: Readonly<Record<string, string>> = {}): Promise<DeployTree> {
  const yaml = await loadYamlLibrary();
  const paths = readdirSync(DEPLOY, { recursive: true, encoding: 'utf8' }).filter(
    path => path.endsWith('.yaml') && !/^(helm|examples)\//.test(path),
  );
  const own = Object.fromEntries(paths.map(path => [path, readFileSync(join(DEPLOY, path), 'utf8')]));
  return {
    files: { ...own, ...more },
    objects: text => parseDocuments(text, yaml).flatMap(({ objects }) => objects),
    value: text => yaml.load(text),
  };
}
