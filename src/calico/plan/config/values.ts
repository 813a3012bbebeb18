/**
 * How the text of a Felix parameter becomes a value: Felix's own notions of true, of a number and of a name, among them Go's of an
 * integer (`0x10`, `0b1`, `017`). A text that is none gives undefined; the reader says what it would have taken.
 */

import { goFloat, goInteger, goUnsigned } from '../../model/go-text.ts';
import { goRegexp, type NamePattern } from './go-regexp.ts';

export interface Reader<T> {
  (text: string): { readonly value: T } | undefined;
  /** `true or false`, `a number from 1 to 65535` */
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

const LAST_OLD_TABLE = 250;
const LAST_TABLE = 0xffffffff;
/** Of all ranges together. */
const MOST_TABLES = 0xffff;

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

/** Fractions are cut: what these are for counts whole seconds. */
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
  'prefixes of interface names with commas between',
  (text): { value: readonly string[] } | undefined =>
    /^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$/.test(text) ? { value: text.split(',') } : undefined,
);

export const pattern = reader("a regular expression of Go's (RE2)", (text): { value: NamePattern } | undefined => {
  const value = goRegexp(text);
  return value && { value };
});

export function oneOf<W extends string>(...words: readonly W[]): Reader<W> {
  return reader(`one of ${words.join(', ')}`, text => {
    const word = words.find(each => each.toLowerCase() === text.toLowerCase());
    return word === undefined ? undefined : { value: word };
  });
}

/** Felix needs two bits at least. */
export const markMask = reader('a mask of 32 bits with at least two set', text => {
  const value = goUnsigned(text, 32);
  if (value === undefined) return undefined;
  const bits = value.toString(2).replaceAll('0', '').length;
  return bits < 2 ? undefined : { value: Number(value) };
});

/** `1-250`, one range of the lowest tables. */
export const oldTableRange = reader(
  'a range of route tables from 1 to 250, like 1-250',
  (text): { value: readonly TableRange[] } | undefined =>
    /^\d+-\d+$/.test(text) ? rangesOf(text, LAST_OLD_TABLE) : undefined,
);

/** Several: whatever stands between them, as Felix takes it. */
export const tableRanges = reader(
  `ranges of route tables from 1 to ${LAST_TABLE}, like 1-250, of ${MOST_TABLES} tables at most`,
  text => rangesOf(text, LAST_TABLE),
);

function rangesOf(text: string, last: number): { readonly value: readonly TableRange[] } | undefined {
  const ranges = [...text.matchAll(/(\d+)-(\d+)/g)].map(([, min, max]) => ({ min: Number(min), max: Number(max) }));
  const isGood = ranges.length > 0 && ranges.every(({ min, max }) => min >= 1 && min <= max && max <= last);
  const tables = ranges.reduce((sum, { min, max }) => sum + max - min + 1, 0);
  return isGood && tables <= MOST_TABLES ? { value: ranges } : undefined;
}

function reader<T>(expected: string, read: (text: string) => { readonly value: T } | undefined): Reader<T> {
  return Object.assign((text: string) => read(text), { expected });
}
