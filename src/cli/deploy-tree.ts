/** Reads the files of deploy/ that scripts/bundle.mjs put into this program. */

import { parseDocuments } from '../calico/datastore/file/documents.ts';
import { loadYamlLibrary, type Yaml } from '../calico/datastore/parse/exact-yaml.ts';
import type { DeployTree } from '../calico/install/render/kustomization.ts';
import { installedText } from '../io/installation.ts';

/** One file in each form of distribution, because a single executable has no folders. */
const FILE = 'dist/program/deploy.json';

export interface DeployFiles {
  readonly tree: DeployTree;
  readonly yaml: Yaml;
}

/** Loads the files, and the parser of YAML. */
export async function loadDeployFiles(): Promise<DeployFiles> {
  const yaml = await loadYamlLibrary();
  const files = JSON.parse(installedText(FILE)) as Record<string, string>;
  const objects = (text: string): unknown[] => parseDocuments(text, yaml).flatMap(document => document.objects);
  return { yaml, tree: { files, objects, value: text => yaml.load(text) } };
}
