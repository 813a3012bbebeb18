/**
 * Reads fields of an object that anybody may have written: each is what it should be, or is absent and a Problem says what is wrong with it.
 * Fields that nobody asks for are not looked at: newer versions have more of them.
 */
import type { Family } from '../../../base/family.ts';
import { makePrefix, type Prefix } from '../../../base/prefix.ts';
import { ExactNumber } from '../../model/exact-number.ts';
import { type Problem, quoted } from '../../model/problem.ts';
import { parseCidr, parseIp } from './go-text.ts';

/** What became of one object. No value: it does not count, because it is not to or because it cannot be understood; then a problem says why. */
export interface Parsed<T> {
  readonly value?: T;
  readonly problems: readonly Problem[];
}

export type Fields = Readonly<Record<string, unknown>>;

/** Calico's annotations are short. What is longer is somebody's mistake, and not kept. */
const LONGEST_ANNOTATION = 4096;
/** Of one object: the next ones would say the same. */
const MOST_PROBLEMS = 20;

export class ObjectReader {
  readonly problems: Problem[] = [];
  readonly #object: string;

  constructor(kind: string, name: string) {
    this.#object = `${kind}/${name}`;
  }

  problem(reason: string, message: string): undefined {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push({ object: this.#object, reason, message });
    return undefined;
  }

  /** An object; an absent one is an empty one. */
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

  /** @returns undefined for the empty text too: Calico makes no difference */
  text(value: unknown, path: string): string | undefined {
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'string') return value;
    return this.problem('InvalidField', `${path} is ${quoted(value)}, but must be text; it is ignored`);
  }

  flag(value: unknown, path: string): boolean {
    if (value === undefined || value === null) return false;
    if (typeof value === 'boolean') return value;
    // what docs/reference/calico-felix.md#ipam-objects says of BlockAffinity
    if (value === 'true' || value === 'false') return value === 'true';
    this.problem('InvalidField', `${path} is ${quoted(value)}, but must be true or false; it counts as false`);
    return false;
  }

  texts(value: unknown, path: string): readonly string[] {
    return this.list(value, path).flatMap((each, i) => this.text(each, `${path}[${i}]`) ?? []);
  }

  /** An address alone (net.ParseIP). */
  address(value: unknown, path: string, family?: Family): Uint8Array | undefined {
    const text = this.text(value, path);
    if (text === undefined) return undefined;
    const address = parseIp(text);
    if (address) return this.#ofFamily(address, text, path, family);
    const why = parseCidr(text) ? 'has a prefix length and must have none' : 'is no IP address';
    return this.problem('InvalidAddress', `${path} is ${quoted(text)}, which ${why}; it is ignored`);
  }

  /** An address, or one with a prefix length and then any host bits. */
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
      return this.problem('InvalidAddress', `${path} is ${quoted(text)}, which is no IP address; it is ignored`);
    const address = this.#ofFamily(found, text, path, family);
    return address && { address, ...(cidr && { length: cidr.length }) };
  }

  /** With a length, and without host bits. Felix makes prefixes that cannot be of IPv4 in IPv6 notation; here it is a problem. */
  prefix(value: unknown, path: string): Prefix | undefined {
    const text = this.text(value, path);
    if (text === undefined) return undefined;
    const cidr = parseCidr(text);
    if (cidr && !cidr.isMapped) return makePrefix(cidr.address, cidr.length);
    return this.problem(
      'InvalidCIDR',
      `${path} is ${quoted(text)}, which is no CIDR such as 10.0.0.0/26; it is ignored`,
    );
  }

  /** All that are text and not too long. Of those that `read` there is a problem when they are not. */
  annotations(value: unknown, read: (name: string) => boolean): Readonly<Record<string, string>> {
    const out: [string, string][] = [];
    for (const [name, text] of Object.entries(this.fields(value, 'metadata.annotations'))) {
      if (typeof text === 'string' && text.length <= LONGEST_ANNOTATION) out.push([name, text]);
      else if (!read(name)) continue;
      else if (typeof text !== 'string')
        this.problem(
          'InvalidAnnotation',
          `annotation ${quoted(name)} is ${quoted(text)}, but must be text; it is ignored`,
        );
      else
        this.problem(
          'HugeAnnotation',
          `annotation ${quoted(name)} has ${text.length} characters, begins with ${quoted(text.slice(0, 100))}, and is ignored; no more than ${LONGEST_ANNOTATION} are read`,
        );
    }
    return Object.fromEntries(out);
  }

  #ofFamily(address: Uint8Array, text: string, path: string, family: Family | undefined): Uint8Array | undefined {
    if (!family || address.length === (family === 4 ? 4 : 16)) return address;
    return this.problem('InvalidAddress', `${path} is ${quoted(text)}, which is not of IPv${family}; it is ignored`);
  }
}

/** The name that an object goes by, and the reader for it. Without a name there is nothing that anybody could refer to. */
export function open(
  kind: string,
  object: unknown,
): { readonly reader: ObjectReader; readonly name?: string; readonly metadata: Fields; readonly top: Fields } {
  const top = isFields(object) ? object : {};
  const metadata = isFields(top['metadata']) ? top['metadata'] : {};
  const { name, namespace } = metadata;
  if (typeof name === 'string' && name !== '') {
    const full = typeof namespace === 'string' && namespace !== '' ? `${namespace}/${name}` : name;
    return { reader: new ObjectReader(kind, shown(full)), name, metadata, top };
  }
  const reader = new ObjectReader(kind, '?');
  reader.problem('InvalidObject', `an object without metadata.name is ignored: ${quoted(object)}`);
  return { reader, metadata, top };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

/** Names are Kubernetes' in a cluster; in files they are anything. */
function shown(name: string): string {
  return /^[\w.:/-]{1,320}$/.test(name) ? name : quoted(name);
}
