/**
 * Builds the objects of a folder of deploy/, as `kubectl kustomize` does, for the part of kustomize
 * that deploy/ uses. A test compares the results (test/cluster/kustomize.test.ts).
 */
import { asResource, nameOf, type Resource } from '../../model/resource.ts';
import { changeImages } from './image.ts';
import { type DeployTree, type Kustomization, parseKustomization } from './kustomization.ts';

const FILE = 'kustomization.yaml';
/** Folders of deploy/ refer to folders of deploy/ in a few steps. More is a circle. */
const DEEPEST = 20;

/**
 * Builds the objects of a kustomization that is not in the tree, such as an operator's overlay.
 * @param at the folder in which its paths begin
 * @throws Error that names the file, and what is wrong or not supported
 */
export function renderKustomization(tree: DeployTree, at: string, content: unknown): Resource[] {
  const objects: Resource[] = [];
  add(tree, at, parseKustomization(content, tree.value), objects, 0);
  return objects;
}

/** Builds the objects of a folder. @throws as renderKustomization */
export function renderFolder(tree: DeployTree, folder: string): Resource[] {
  const objects: Resource[] = [];
  addFolder(tree, folder, 'Kustomization', objects, 0);
  return objects;
}

function addFolder(
  tree: DeployTree,
  folder: string,
  kind: Kustomization['kind'],
  objects: Resource[],
  depth: number,
): void {
  const path = join(folder, FILE);
  if (depth > DEEPEST) throw new Error(`deploy/${path}: it contains itself`);
  const [content, ...others] = documents(tree, path);
  const kustomization = named(path, () => {
    if (others.length > 0) throw new Error('it must be one document');
    const parsed = parseKustomization(content, tree.value);
    if (parsed.kind !== kind) throw new Error(`it is a ${parsed.kind}, but is used as a ${kind}`);
    return parsed;
  });
  add(tree, folder, kustomization, objects, depth);
}

/**
 * Adds resources, then components, then changes all. A component also changes what was added
 * before it.
 */
function add(tree: DeployTree, folder: string, content: Kustomization, objects: Resource[], depth: number): void {
  for (const each of content.resources) {
    const path = join(folder, each);
    if (/\.ya?ml$/.test(path)) for (const object of documents(tree, path)) addObject(object, objects, path);
    else {
      // The patches of this folder must not change the objects that are here already.
      const own: Resource[] = [];
      addFolder(tree, path, 'Kustomization', own, depth + 1);
      for (const object of own) addObject(object, objects, path);
    }
  }
  for (const each of content.components) addFolder(tree, join(folder, each), 'Component', objects, depth + 1);
  named(join(folder, FILE), () => change(content, objects));
}

function addObject(value: unknown, objects: Resource[], path: string): void {
  const object = asResource(value);
  if (!object) throw new Error(`deploy/${path}: an object has no apiVersion, kind or name`);
  if (objects.some(other => identity(other) === identity(object)))
    throw new Error(`deploy/${path}: ${nameOf(object)} is there already; is a component listed twice?`);
  objects.push(object);
}

function change({ patches, images }: Kustomization, objects: Resource[]): void {
  for (const { target, isDeletion, apply } of patches) {
    const isTarget = ({ kind, metadata }: Resource): boolean => kind === target.kind && metadata.name === target.name;
    if (isDeletion) objects.splice(0, objects.length, ...objects.filter(object => !isTarget(object)));
    else for (const object of objects.filter(isTarget)) apply(object);
  }
  for (const image of images) for (const object of objects) changeImages(object, image);
}

function documents(tree: DeployTree, path: string): readonly unknown[] {
  const text = Object.hasOwn(tree.files, path) ? tree.files[path]! : undefined;
  if (text === undefined) throw new Error(`there is no deploy/${path}`);
  return named(path, () => tree.objects(text));
}

function identity({ apiVersion, kind, metadata: { name, namespace = '' } }: Resource): string {
  return [apiVersion, kind, namespace, name].join(' ');
}

/** Puts the file's name before the message of an error. */
function named<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`deploy/${path}: ${(error as Error).message}`);
  }
}

/** Joins paths within deploy/. */
function join(folder: string, path: string): string {
  const names: string[] = [];
  for (const name of `${folder}/${path}`.split('/')) {
    if (name === '..' && names.pop() === undefined) throw new Error(`deploy/${folder}: ${path} is outside of deploy/`);
    if (name !== '..' && name !== '.' && name !== '') names.push(name);
  }
  return names.join('/');
}
