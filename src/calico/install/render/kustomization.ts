/**
 * Checks the file kustomization.yaml: the fields that deploy/ uses, and an error for all others.
 * A field that were ignored would make other objects than `kubectl apply -k`.
 */
import { type Fields, field, hasFields, textField } from '../../model/resource.ts';
import type { ImageChange } from './image.ts';
import { applyJsonPatch, parseJsonPatch } from './json-patch.ts';

/** The text of all files, by path in deploy/, and the parser of their format. */
export interface DeployTree {
  readonly files: Readonly<Record<string, string>>;
  /** Parses the objects in all documents of a text. @throws Error that names the line */
  readonly objects: (text: string) => readonly unknown[];
  /** Parses a text that is one value. @throws Error that names the line */
  readonly value: (text: string) => unknown;
}

export interface Kustomization {
  readonly kind: 'Kustomization' | 'Component';
  readonly resources: readonly string[];
  readonly components: readonly string[];
  readonly patches: readonly Patch[];
  readonly images: readonly ImageChange[];
}

interface Patch {
  readonly target: Readonly<Record<'kind' | 'name', string>>;
  /** Deletes the target; otherwise `apply` changes it. */
  readonly isDeletion: boolean;
  readonly apply: (object: object) => void;
}

const API_VERSION = 'kustomize.config.k8s.io/';
const FIELDS = ['apiVersion', 'kind', 'metadata', 'resources', 'components', 'patches', 'images'];

/** Checks a parsed kustomization.yaml. @throws Error that names what is not supported */
export function parseKustomization(value: unknown, parse: DeployTree['value']): Kustomization {
  if (!hasFields(value)) throw new Error('it is not an object');
  only(value, FIELDS, 'kustomization.yaml');
  const kind = value['kind'] ?? 'Kustomization';
  if (kind !== 'Kustomization' && kind !== 'Component')
    throw new Error(`kind ${JSON.stringify(kind)} is not supported, only Kustomization and Component`);
  const apiVersion = value['apiVersion'] ?? API_VERSION;
  if (typeof apiVersion !== 'string' || !apiVersion.startsWith(API_VERSION))
    throw new Error(`apiVersion ${JSON.stringify(apiVersion)} is not supported`);
  return {
    kind,
    resources: texts(value, 'resources'),
    components: texts(value, 'components'),
    patches: list(value, 'patches').map(each => patchOf(each, parse)),
    images: list(value, 'images').map(imageOf),
  };
}

function patchOf(value: unknown, parse: DeployTree['value']): Patch {
  if (!hasFields(value)) throw new Error(`the patch ${JSON.stringify(value)} is not an object`);
  only(value, ['target', 'patch'], 'a patch');
  const target = value['target'];
  if (!hasFields(target)) throw new Error('a patch needs a target with kind and name');
  only(target, ['kind', 'name'], 'the target of a patch');
  const [kind, name] = [textField(target, 'kind'), textField(target, 'name')];
  // kustomize reads both as regular expressions.
  if (kind === undefined || name === undefined || !/^\w+$/.test(kind) || !/^[a-z0-9-]+$/.test(name))
    throw new Error(`the target ${JSON.stringify(target)} needs a plain kind and name`);
  if (typeof value['patch'] !== 'string') throw new Error(`the patch of ${kind} ${name} must be a text`);
  const patch = parse(value['patch']);
  if (hasFields(patch)) {
    checkDeletion(patch, kind, name);
    return { target: { kind, name }, isDeletion: true, apply() {} };
  }
  if (!Array.isArray(patch)) throw new Error(`the patch of ${kind} ${name} is no list of operations`);
  const operations = parseJsonPatch(patch);
  return { target: { kind, name }, isDeletion: false, apply: object => applyJsonPatch(object, operations) };
}

/** Of strategic merge patches only the deletion of a whole object is supported. */
function checkDeletion(patch: Fields, kind: string, name: string): void {
  only(patch, ['apiVersion', 'kind', 'metadata', '$patch'], `the merge patch of ${kind} ${name}`);
  if (patch['$patch'] !== 'delete')
    throw new Error(`the merge patch of ${kind} ${name} is not supported: only "$patch: delete" is`);
  if (patch['kind'] !== kind || field(patch, 'metadata', 'name') !== name)
    throw new Error(`the merge patch of ${kind} ${name} names another object`);
}

function imageOf(value: unknown): ImageChange {
  if (!hasFields(value)) throw new Error(`the image ${JSON.stringify(value)} is not an object`);
  only(value, ['name', 'newName', 'newTag', 'digest'], 'an image');
  for (const [name, each] of Object.entries(value))
    if (typeof each !== 'string') throw new Error(`${name} of an image must be a text, not ${JSON.stringify(each)}`);
  if (value['name'] === undefined) throw new Error('an image needs a name');
  return value as unknown as ImageChange;
}

function list(value: Fields, name: string): readonly unknown[] {
  const found = value[name] ?? [];
  if (!Array.isArray(found)) throw new Error(`${name} must be a list`);
  return found;
}

function texts(value: Fields, name: string): readonly string[] {
  return list(value, name).map(each => {
    if (typeof each === 'string') return each;
    throw new Error(`${name} must be a list of paths, but contains ${JSON.stringify(each)}`);
  });
}

function only(value: Fields, known: readonly string[], what: string): void {
  const unknown = Object.keys(value).find(name => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`the field ${JSON.stringify(unknown)} of ${what} is not supported: only ${known.join(', ')} are`);
}
