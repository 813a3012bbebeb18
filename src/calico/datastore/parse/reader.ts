/**
 * Reads fields of untrusted objects. An invalid field is reported as a Problem and treated as
 * absent. Unknown fields are ignored, because newer versions add fields.
 */
import type { Family } from '../../../base/family.ts';
import { makePrefix, type Prefix } from '../../../base/prefix.ts';
import { ExactNumber } from '../../model/exact-number.ts';
import { objectOf, type Problem, quoted } from '../../model/problem.ts';
import { parseCidr, parseIp } from './go-text.ts';

/**
 * The result of parsing one object. An object without a value is ignored, either on purpose or
 * because of a reported problem.
 */
export interface Parsed<T> {
  readonly value?: T;
  readonly problems: readonly Problem[];
}

export type Fields = Readonly<Record<string, unknown>>;

/** Calico's annotations are short. Longer ones are mistakes and are not kept. */
const LONGEST_ANNOTATION = 4096;
/** Maximum number of problems per object; further problems would only repeat these. */
const MAX_PROBLEMS = 20;

export class ObjectReader {
  readonly problems: Problem[] = [];
  readonly #object: string;

  /** @param name `?` for an object without a name */
  constructor(kind: string, name: string) {
    this.#object = name === '?' ? `${kind}/?` : objectOf(kind, name);
  }

  problem(reason: string, message: string): undefined {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push({ object: this.#object, reason, message });
    return undefined;
  }

  /** Reads an object; an absent object counts as empty. */
  fields(value: unknown, path: string): Fields {
    if (value === undefined || value === null) return {};
    if (isFields(value)) return value;
    this.problem('InvalidField', `${path} is ${quoted(value)}, but must be an object; it is ignored`);
    return {};
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    this.problem('InvalidField', `${path} is ${quoted(value)}, but must be a list; it is ignored`);
    return [];
  }

  /** Reads the beginning of a list that is never long in a real cluster. */
  shortList(value: unknown, path: string, most: number): readonly unknown[] {
    const list = this.list(value, path);
    if (list.length <= most) return list;
    this.problem('HugeList', `${path} has ${list.length} elements; only the first ${most} are read`);
    return list.slice(0, most);
  }

  /** Reads text. @returns undefined also for empty text, because Calico treats both alike */
  text(value: unknown, path: string): string | undefined {
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'string') return value;
    return this.problem('InvalidField', `${path} is ${quoted(value)}, but must be text; it is ignored`);
  }

  flag(value: unknown, path: string): boolean {
    if (value === undefined || value === null) return false;
    if (typeof value === 'boolean') return value;
    // BlockAffinity stores booleans as text (docs/reference/calico-felix.md#ipam-objects).
    if (value === 'true' || value === 'false') return value === 'true';
    this.problem('InvalidField', `${path} is ${quoted(value)}, but must be true or false; it is treated as false`);
    return false;
  }

  texts(value: unknown, path: string): readonly string[] {
    return this.list(value, path).flatMap((each, i) => this.text(each, `${path}[${i}]`) ?? []);
  }

  /** Reads an address without a prefix length (net.ParseIP). */
  address(value: unknown, path: string, family?: Family): Uint8Array | undefined {
    const text = this.text(value, path);
    if (text === undefined) return undefined;
    const address = parseIp(text);
    if (address) return this.#ofFamily(address, text, path, family);
    const why = parseCidr(text) ? 'has a prefix length and must have none' : 'is not an IP address';
    return this.problem('InvalidAddress', `${path} is ${quoted(text)}, which ${why}; it is ignored`);
  }

  /** Reads an address with or without a prefix length; host bits are allowed. */
  addressInNetwork(
    value: unknown,
    path: string,
    family?: Family,
  ): { readonly address: Uint8Array; readonly length?: number } | undefined {
    const text = this.text(value, path);
    if (text === undefined) return undefined;
    const cidr = parseCidr(text);
    const found = cidr?.address ?? parseIp(text);
    if (!found)
      return this.problem('InvalidAddress', `${path} is ${quoted(text)}, which is not an IP address; it is ignored`);
    const address = this.#ofFamily(found, text, path, family);
    return address && { address, ...(cidr && { length: cidr.length }) };
  }

  /**
   * Reads a prefix and drops its host bits. Felix turns IPv4 in IPv6 notation into invalid
   * prefixes; we report such a prefix as a problem.
   */
  prefix(value: unknown, path: string): Prefix | undefined {
    const text = this.text(value, path);
    if (text === undefined) return undefined;
    const cidr = parseCidr(text);
    if (cidr && !cidr.isMapped) return makePrefix(cidr.address, cidr.length);
    return this.problem(
      'InvalidCIDR',
      `${path} is ${quoted(text)}, which is not a CIDR such as 10.0.0.0/26; it is ignored`,
    );
  }

  /**
   * Reads annotations. Skips those that are not text or are too long, and reports a skipped
   * annotation as a problem if `isRead` selects it.
   */
  annotations(value: unknown, isRead: (name: string) => boolean): Readonly<Record<string, string>> {
    const out: [string, string][] = [];
    for (const [name, text] of Object.entries(this.fields(value, 'metadata.annotations'))) {
      if (typeof text === 'string' && text.length <= LONGEST_ANNOTATION) out.push([name, text]);
      else if (!isRead(name)) continue;
      else if (typeof text !== 'string')
        this.problem(
          'InvalidAnnotation',
          `annotation ${quoted(name)} is ${quoted(text)}, but must be text; it is ignored`,
        );
      else
        this.problem(
          'HugeAnnotation',
          `annotation ${quoted(name)} has ${text.length} characters, begins with ${quoted(text.slice(0, 100))}, and is ignored: at most ${LONGEST_ANNOTATION} characters are read`,
        );
    }
    return Object.fromEntries(out);
  }

  #ofFamily(address: Uint8Array, text: string, path: string, family: Family | undefined): Uint8Array | undefined {
    if (!family || address.length === (family === 4 ? 4 : 16)) return address;
    return this.problem(
      'InvalidAddress',
      `${path} is ${quoted(text)}, which is not an IPv${family} address; it is ignored`,
    );
  }
}

/**
 * Returns an object's name and a reader for the object. Reports an object without a name, because
 * nothing can refer to it.
 */
export function openObject(
  kind: string,
  object: unknown,
): { readonly reader: ObjectReader; readonly name?: string; readonly metadata: Fields; readonly top: Fields } {
  const top = isFields(object) ? object : {};
  const metadata = isFields(top['metadata']) ? top['metadata'] : {};
  const { name, namespace } = metadata;
  if (typeof name === 'string' && name !== '') {
    const full = typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name;
    return { reader: new ObjectReader(kind, full), name, metadata, top };
  }
  const reader = new ObjectReader(kind, '?');
  reader.problem('InvalidObject', `an object without metadata.name is ignored: ${quoted(object)}`);
  return { reader, metadata, top };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
