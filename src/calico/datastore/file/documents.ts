/**
 * The text of a file with Kubernetes objects as documents: YAML with `---` between them, or JSON, each one object or a List of them as kubectl prints it.
 * A document keeps its text, so that writing one again leaves the others as they are, comments and all.
 *
 * The YAML parser is the one that @kubernetes/client-node uses, with numbers as exact as they are written (exact-yaml.ts).
 */
import { exactJson, parseExactJson } from '../parse/exact-json.ts';
import type { Yaml } from '../parse/exact-yaml.ts';
import { isFields } from '../parse/reader.ts';

export interface Document {
  /** As in the file, with the `---` before it. All of them in a row are the file. */
  readonly text: string;
  /** Of the document, or the items of its List. */
  readonly objects: readonly unknown[];
}

/** More values than a cluster of 5,000 nodes has: an alias of an alias of an alias is many from little text. */
const MOST_VALUES = 20_000_000;

/** @throws Error naming the line, for a text that is neither YAML nor JSON */
export function parseDocuments(text: string, yaml: Yaml): Document[] {
  const documents: Document[] = [];
  let line = 1;
  for (const part of split(text)) {
    let value: unknown;
    try {
      value = load(part, yaml);
    } catch (error) {
      throw new Error(`the document at line ${line}: ${firstLine((error as Error).message)}`);
    }
    documents.push({ text: part, objects: objectsOf(value) });
    line += part.split('\n').length - 1;
  }
  return documents;
}

/** The document's text with the object in the place of the one at `index`: in the same notation, its first comments kept. */
export function rewriteDocument(document: Document, index: number, object: unknown, yaml: Yaml): string {
  const opening = OPENING.exec(document.text)?.[0] ?? '';
  const body = document.text.slice(opening.length);
  const whole = load(document.text, yaml);
  const objects = document.objects.map((each, i) => (i === index ? object : each));
  let value: unknown = object;
  if (Array.isArray(whole)) value = objects;
  else if (isFields(whole) && isList(whole)) value = { ...whole, items: objects };
  return `${opening}${/^\s*[{[]/.test(body) ? `${exactJson(value, 2)}\n` : yaml.dump(value)}`;
}

/** A new document, to follow others. */
export function newDocument(object: unknown, yaml: Yaml): string {
  return `---\n${yaml.dump(object)}`;
}

/** The line that begins a document, where it has one. What follows on the same line is not of it. */
const MARKER = /^---[ \t]*(?:#[^\n]*)?(?:\r?\n|$)|^---[ \t]+/;
/** That, and the lines of comment after it. */
const OPENING = /^(?:---[ \t]*(?:#[^\n]*)?(?:\r?\n|$))?(?:[ \t]*(?:#[^\n]*)?\r?\n)*/;

/** At each `---` that begins a line. A `...` ends a document, and what it ends is not begun by anything else. */
function split(text: string): string[] {
  const parts = text.replace(/^\uFEFF/, '').split(/^(?=---(?:[ \t\r]|\n|$))/m);
  return parts.filter(part => part !== '');
}

function load(text: string, yaml: Yaml): unknown {
  const body = text.replace(MARKER, '').replace(/^\.\.\.[ \t]*(?:#.*)?\r?$/gm, '');
  if (/^\s*[{[]/.test(body)) {
    try {
      return parseExactJson(body);
    } catch {
      // YAML's flow style looks like it
    }
  }
  if (!/^[^#\s]|^[ \t]+[^#\s]/m.test(body)) return undefined;
  return plain(yaml.load(body), { left: MOST_VALUES });
}

/** YAML's dates as the text that they are in JSON. */
function plain(value: unknown, budget: { left: number }): unknown {
  if (--budget.left < 0) throw new Error(`more than ${MOST_VALUES} values`);
  if (value instanceof Date) return value.toISOString().replace(/\.000Z$/, 'Z');
  if (Array.isArray(value)) return value.map(each => plain(each, budget));
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each, budget)]));
}

function objectsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isFields(value)) return [];
  if (!isList(value)) return [value];
  const { apiVersion, kind, items } = value;
  const each = (kind as string).slice(0, -'List'.length);
  return (items as unknown[]).map(item => (each !== '' && isFields(item) ? { apiVersion, kind: each, ...item } : item));
}

/** `List`, and `NodeList` and the like as the API itself answers. Items of those have no kind of their own. */
function isList(value: Readonly<Record<string, unknown>>): boolean {
  return typeof value['kind'] === 'string' && value['kind'].endsWith('List') && Array.isArray(value['items']);
}

function firstLine(message: string): string {
  return message.split('\n')[0]!;
}
