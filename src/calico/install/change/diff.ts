/** Compares an object of the server with another version of it. */
import { copyOf, field, hasFields } from '../../model/resource.ts';

/** Fields that the server sets, or that kubectl keeps for itself. */
const NOT_COMPARED: readonly (readonly string[])[] = [
  ['status'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
  ['metadata', 'generation'],
  ['metadata', 'uid'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'annotations', 'kubectl.kubernetes.io/last-applied-configuration'],
  ['metadata', 'annotations', 'deprecated.daemonset.template.generation'],
];
const CONTEXT = 3;
/** Above this number of lines, the whole text counts as changed. An object has some hundred. */
const MOST_LINES = 4_000;

/** Returns whether two versions of an object ask for the same. */
export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(comparable(a))) === JSON.stringify(sorted(comparable(b)));
}

/** Returns what counts in a comparison. */
export function comparable(object: unknown): unknown {
  const copy = copyOf(object);
  for (const path of NOT_COMPARED) {
    const parent = field(copy, ...path.slice(0, -1));
    if (hasFields(parent)) Reflect.deleteProperty(parent, path.at(-1)!);
  }
  const annotations = field(copy, 'metadata', 'annotations');
  if (hasFields(annotations) && Object.keys(annotations).length === 0)
    Reflect.deleteProperty(field(copy, 'metadata') as object, 'annotations');
  return copy;
}

/** Formats the difference of two texts like diff -u. @returns an empty text for equal texts */
export function unifiedDiff(name: string, before: string, after: string): string {
  const lines = compareLines(linesOf(before), linesOf(after));
  const changed = lines.flatMap(({ sign }, i) => (sign === ' ' ? [] : [i]));
  if (changed.length === 0) return '';
  const text = [`--- live ${name}`, `+++ merged ${name}`];
  for (let at = 0; at < changed.length; ) {
    const begin = Math.max(0, changed[at]! - CONTEXT);
    let last = changed[at]!;
    for (; at < changed.length && changed[at]! - last <= 2 * CONTEXT; at++) last = changed[at]!;
    const hunk = lines.slice(begin, last + CONTEXT + 1);
    const count = (sign: string): number => hunk.filter(line => line.sign === ' ' || line.sign === sign).length;
    const first = (sign: string): number =>
      lines.slice(0, begin).filter(line => line.sign === ' ' || line.sign === sign).length + (count(sign) > 0 ? 1 : 0);
    text.push(`@@ -${first('-')},${count('-')} +${first('+')},${count('+')} @@`);
    text.push(...hunk.map(({ sign, line }) => `${sign}${line}`));
  }
  return `${text.join('\n')}\n`;
}

interface Line {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

/** Finds the longest common part by its table of lengths. */
function compareLines(a: readonly string[], b: readonly string[]): Line[] {
  if (Math.max(a.length, b.length) > MOST_LINES) return [...signed('-', a), ...signed('+', b)];
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push({ sign: ' ', line: a[i++]! });
      j++;
    } else if (lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!) lines.push({ sign: '-', line: a[i++]! });
    else lines.push({ sign: '+', line: b[j++]! });
  }
  return [...lines, ...signed('-', a.slice(i)), ...signed('+', b.slice(j))];
}

function signed(sign: '-' | '+', lines: readonly string[]): Line[] {
  return lines.map(line => ({ sign, line }));
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** Sorts the fields of objects, because servers and files have them in another order. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!hasFields(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map(name => [name, sorted(value[name])]));
}
