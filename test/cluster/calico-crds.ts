/**
 * Calico's own CRDs, for tests: those of either group, with patterns, enums, rules, defaults and
 * pruning.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import yaml from 'js-yaml';
import { parseDocuments } from '../../src/calico/datastore/file/documents.ts';
import type { CalicoGroup } from '../../src/calico/datastore/resource-kinds.ts';
import { sharedCalico } from '../support/shared.ts';
import type { Manifest } from './control-plane.ts';

/**
 * The kinds that the agent reads or, for addresses, writes. Others would cost each test a second
 * for nothing.
 */
const KINDS = [
  'ClusterInformation',
  'FelixConfiguration',
  'IPPool',
  'IPReservation',
  'IPAMConfig',
  'IPAMConfiguration',
  'IPAMBlock',
  'IPAMHandle',
  'BlockAffinity',
];

/** @throws Error if Calico's CRDs lack a needed one */
export function calicoCrds(group: CalicoGroup): readonly Manifest[] {
  const name = group.split('/')[0]!;
  const found = texts(group).flatMap(objects);
  const crds = found.filter(crd => {
    const spec = crd?.['spec'] as { group: string; names: { kind: string } } | undefined;
    return spec?.group === name && KINDS.includes(spec.names.kind);
  });
  // IPAMConfig is IPAMConfiguration in the other group
  if (crds.length !== KINDS.length - 1)
    throw new Error(`of ${group} there is only ${crds.map(({ metadata }) => metadata.name).join(', ')}`);
  return crds;
}

/** Keeps every field: the parser's own CRD class renames some. */
function objects(text: string): readonly Manifest[] {
  const documents = parseDocuments(text, { load: part => yaml.load(part), dump: () => '' });
  return documents.flatMap(document => document.objects as readonly Manifest[]);
}

function texts(group: CalicoGroup): readonly string[] {
  if (group === 'crd.projectcalico.org/v1') return [readFileSync(sharedCalico('crds-v1.yaml'), 'utf8')];
  const folder = sharedCalico('crds-v3');
  return readdirSync(folder).map(file => readFileSync(join(folder, file), 'utf8'));
}
