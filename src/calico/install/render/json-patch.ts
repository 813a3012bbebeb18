/**
 * Applies the operations of JSON Patch (RFC 6902) that deploy/ uses: add, replace and remove.
 * Everything else is an error.
 */
import { copyOf, hasFields } from '../../model/resource.ts';

interface Operation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: readonly string[];
  readonly value: unknown;
  /** The operation as written, for messages. */
  readonly text: string;
}

const OPS: readonly string[] = ['add', 'replace', 'remove'];

/** Checks a patch. @throws Error that names the operation that is not supported */
export function parseJsonPatch(patch: readonly unknown[]): readonly Operation[] {
  return patch.map(each => {
    const text = JSON.stringify(each);
    if (!hasFields(each)) throw new Error(`${text} is no operation of JSON Patch`);
    const { op, path, value, ...others } = each;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw new Error(`${text}: the field ${JSON.stringify(unknown)} is not supported`);
    if (typeof op !== 'string' || !OPS.includes(op))
      throw new Error(`${text}: the operation must be add, replace or remove`);
    if (typeof path !== 'string' || !path.startsWith('/')) throw new Error(`${text}: the path must begin with /`);
    if ((op === 'remove') !== (value === undefined))
      throw new Error(`${text}: ${op} ${op === 'remove' ? 'takes no' : 'needs a'} value`);
    const parts = path.slice(1).split('/');
    const names = parts.map(part => part.replace(/~1/g, '/').replace(/~0/g, '~'));
    return { op: op as Operation['op'], path: names, value, text };
  });
}

/** Applies a patch to an object, which it changes. @throws Error if a path does not exist */
export function applyJsonPatch(object: object, patch: readonly Operation[]): void {
  for (const operation of patch) {
    const { path, text } = operation;
    let parent: unknown = object;
    for (const name of path.slice(0, -1)) parent = child(parent, name, text);
    if (Array.isArray(parent)) changeList(parent, operation);
    else if (hasFields(parent)) changeObject(parent, operation);
    else throw missing(text);
  }
}

function child(parent: unknown, name: string, text: string): unknown {
  if (Array.isArray(parent)) return parent[indexOf(parent, name, parent.length - 1, text)];
  if (!hasFields(parent) || !Object.hasOwn(parent, name)) throw missing(text);
  return parent[name];
}

function changeList(list: unknown[], { op, path, value, text }: Operation): void {
  const name = path.at(-1)!;
  if (op === 'add') {
    const index = name === '-' ? list.length : indexOf(list, name, list.length, text);
    list.splice(index, 0, copyOf(value));
    return;
  }
  const index = indexOf(list, name, list.length - 1, text);
  if (op === 'remove') list.splice(index, 1);
  else list[index] = copyOf(value);
}

function changeObject(object: Readonly<Record<string, unknown>>, { op, path, value, text }: Operation): void {
  const name = path.at(-1)!;
  if (op !== 'add' && !Object.hasOwn(object, name)) throw missing(text);
  if (op === 'remove') Reflect.deleteProperty(object, name);
  // Not an assignment: that would treat __proto__ in another way.
  else Object.defineProperty(object, name, { ...PLAIN, value: copyOf(value) });
}

const PLAIN = { configurable: true, enumerable: true, writable: true } as const;

function indexOf(list: readonly unknown[], name: string, most: number, text: string): number {
  const index = /^(0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : -1;
  if (index < 0 || index > most) throw new Error(`${text}: the list has ${list.length} elements and no ${name}`);
  return index;
}

function missing(text: string): Error {
  return new Error(`${text}: the path does not exist`);
}
