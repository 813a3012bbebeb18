/**
 * Readers that parse the text of a Felix parameter by Felix's rules for booleans, numbers and
 * names, including Go's integer notation (`0x10`, `0b1`, `017`). A reader returns undefined for an
 * invalid text. Its `expected` describes valid texts.
 */
import { goFloat, goInteger, goUnsigned } from '../../model/go-text.ts';
import { goRegexp, type NamePattern } from './go-regexp.ts';

export interface Reader<T> {
  (text: string): { readonly value: T } | undefined;
  /** Describes valid texts for messages: `true or false`, `a number from 1 to 65535`. */
  readonly expected: string;
}

/** Bits of a firewall mark: a 32-bit unsigned number. */
export type MarkMask = number;

/** A range of route table numbers, both ends included. */
export interface TableRange {
  /** The first table. */
  readonly min: number;
  /** The last table. */
  readonly max: number;
}

const MAX_LEGACY_TABLE = 250;
const MAX_TABLE_ID = 0xffffffff;
/** Upper bound of the number of tables in all ranges together. */
const MAX_TABLES = 0xffff;

export const boolean = reader('true or false', text => {
  const word = text.toLowerCase();
  if (['true', '1', 'yes', 'y', 't'].includes(word)) return { value: true };
  return ['false', '0', 'no', 'n', 'f'].includes(word) ? { value: false } : undefined;
});

export function integer(min: number, max: number): Reader<number> {
  return reader(`a whole number from ${min} to ${max}`, text => {
    const value = goInteger(text);
    return value !== undefined && value >= min && value <= max ? { value: Number(value) } : undefined;
  });
}

/** Reads seconds and truncates fractions: keepalive and resync count whole seconds. */
export function seconds(min: number, max: number): Reader<number> {
  return reader(`a number of seconds from ${min} to ${max}, without a unit`, text => {
    const value = Math.trunc(goFloat(text) ?? Number.NaN);
    return value >= min && value <= max ? { value: value + 0 } : undefined;
  });
}

export const interfaceName = reader(
  'an interface name of 1 to 15 characters (letters, digits, and any of : . _ + -)',
  text => (/^[a-zA-Z0-9:._+-]{1,15}$/.test(text) ? { value: text } : undefined),
);

export const interfacePrefixes = reader(
  'a comma-separated list of interface name prefixes',
  (text): { value: readonly string[] } | undefined =>
    /^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$/.test(text) ? { value: text.split(',') } : undefined,
);

export const pattern = reader('a regular expression in Go syntax (RE2)', (text): { value: NamePattern } | undefined => {
  const value = goRegexp(text);
  return value && { value };
});

export function oneOf<W extends string>(...words: readonly W[]): Reader<W> {
  return reader(`one of ${words.join(', ')}`, text => {
    const word = words.find(each => each.toLowerCase() === text.toLowerCase());
    return word === undefined ? undefined : { value: word };
  });
}

/** Reads a packet mark mask. Felix needs at least two bits. */
export const markMask = reader('a 32-bit mask with at least two bits set', text => {
  const value = goUnsigned(text, 32);
  if (value === undefined) return undefined;
  const bits = value.toString(2).replaceAll('0', '').length;
  return bits < 2 ? undefined : { value: Number(value) };
});

/** Reads the older RouteTableRange: one range within 1-250. */
export const legacyTableRange = reader(
  'a range of route tables from 1 to 250, like 1-250',
  (text): { value: readonly TableRange[] } | undefined =>
    /^\d+-\d+$/.test(text) ? parseRanges(text, MAX_LEGACY_TABLE) : undefined,
);

/** Reads one or more ranges. Like Felix, it accepts any separator between them. */
export const tableRanges = reader(
  `ranges of route tables from 1 to ${MAX_TABLE_ID}, like 1-250, with at most ${MAX_TABLES} tables in all`,
  text => parseRanges(text, MAX_TABLE_ID),
);

function parseRanges(text: string, last: number): { readonly value: readonly TableRange[] } | undefined {
  const ranges = [...text.matchAll(/(\d+)-(\d+)/g)].map(([, min, max]) => ({ min: Number(min), max: Number(max) }));
  const isValid = ranges.length > 0 && ranges.every(({ min, max }) => min >= 1 && min <= max && max <= last);
  const tables = ranges.reduce((sum, { min, max }) => sum + max - min + 1, 0);
  return isValid && tables <= MAX_TABLES ? { value: ranges } : undefined;
}

function reader<T>(expected: string, read: (text: string) => { readonly value: T } | undefined): Reader<T> {
  return Object.assign((text: string) => read(text), { expected });
}
