/**
 * Splits the text of a file into documents: YAML separated by `---`, or JSON. Each document holds
 * one object, or a List as kubectl prints it. A document keeps its text, so that rewriting one
 * document leaves the others, and their comments, unchanged.
 *
 * Uses the YAML parser of @kubernetes/client-node, with exact numbers (exact-yaml.ts).
 */
import { exactJson, parseExactJson } from '../parse/exact-json.ts';
import type { Yaml } from '../parse/exact-yaml.ts';
import { isFields } from '../parse/reader.ts';

export interface Document {
  /**
   * The document's text in the file, including the `---` before it. All texts joined are the file's
   * text.
   */
  readonly text: string;
  /** The document's object, or the items of its List. */
  readonly objects: readonly unknown[];
}

/**
 * Maximum number of values in a document; a cluster of 5,000 nodes has fewer. The limit stops
 * nested YAML aliases, which expand a short text into many values.
 */
const MAX_VALUES = 20_000_000;

/**
 * Parses a file's documents.
 * @throws Error that names the line, if the text is neither YAML nor JSON
 */
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

/**
 * Returns the document's text with the object at `index` replaced. Keeps the notation (YAML or
 * JSON) and the comments at the beginning.
 */
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

/** Returns the text of a new document, ready to append to a file. */
export function newDocument(object: unknown, yaml: Yaml): string {
  return `---\n${yaml.dump(object)}`;
}

/** The `---` that begins a document, without any content on the same line. */
const MARKER = /^---[ \t]*(?:#[^\n]*)?(?:\r?\n|$)|^---[ \t]+/;
/** The `---` line and the comment lines after it. */
const OPENING = /^(?:---[ \t]*(?:#[^\n]*)?(?:\r?\n|$))?(?:[ \t]*(?:#[^\n]*)?\r?\n)*/;

/**
 * Splits before each line that begins with `---`. The `...` marker ends a document but does not
 * begin one, so the text is not split there.
 */
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
      // Text in YAML's flow style also begins with a bracket.
    }
  }
  if (!/^[^#\s]|^[ \t]+[^#\s]/m.test(body)) return undefined;
  return toJsonValue(yaml.load(body), { left: MAX_VALUES });
}

/** Converts YAML's dates to the text that JSON uses for dates. */
function toJsonValue(value: unknown, budget: { left: number }): unknown {
  if (--budget.left < 0) throw new Error(`more than ${MAX_VALUES} values`);
  if (value instanceof Date) return value.toISOString().replace(/\.000Z$/, 'Z');
  if (Array.isArray(value)) return value.map(each => toJsonValue(each, budget));
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toJsonValue(each, budget)]));
}

function objectsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isFields(value)) return [];
  if (!isList(value)) return [value];
  const { apiVersion, kind, items } = value;
  const each = (kind as string).slice(0, -'List'.length);
  return (items as unknown[]).map(item => (each !== '' && isFields(item) ? { apiVersion, kind: each, ...item } : item));
}

/**
 * Returns whether this is a `List`, or a typed list such as the API's `NodeList`, whose items have
 * no kind.
 */
function isList(value: Readonly<Record<string, unknown>>): boolean {
  return typeof value['kind'] === 'string' && value['kind'].endsWith('List') && Array.isArray(value['items']);
}

function firstLine(message: string): string {
  return message.split('\n')[0]!;
}
