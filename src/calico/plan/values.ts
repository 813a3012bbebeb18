/**
 * How the text of a Felix parameter becomes a value: Felix's own notions of true, of a number and of a name, among them Go's of an
 * integer (`0x10`, `0b1`, `017`). A text that is none gives undefined; the reader says what it would have taken.
 */

export interface Reader<T> {
  (text: string): { readonly value: T } | undefined;
  /** `true or false`, `a number from 1 to 65535` */
  readonly expected: string;
}

export type MarkMask = number;

export interface TableRange {
  readonly min: number;
  readonly max: number;
}

export const boolean = reader('true or false', text => {
  const word = text.toLowerCase();
  if (['true', '1', 'yes', 'y', 't'].includes(word)) return { value: true };
  return ['false', '0', 'no', 'n', 'f'].includes(word) ? { value: false } : undefined;
});

export function integer(min: number, max: number): Reader<number> {
  return reader(`a whole number from ${min} to ${max}`, text => {
    const value = goInteger(text);
    return value !== undefined && value >= min && value <= max ? { value } : undefined;
  });
}

/** Fractions are cut: what these are for counts whole seconds. */
export function seconds(min: number, max: number): Reader<number> {
  return reader(`a number of seconds from ${min} to ${max}, without a unit`, text => {
    if (!/^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
    const value = Math.trunc(Number(text));
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

export const pattern = reader('a regular expression', text => {
  try {
    return { value: new RegExp(text) };
  } catch {
    return undefined;
  }
});

export function oneOf<W extends string>(...words: readonly W[]): Reader<W> {
  return reader(`one of ${words.join(', ')}`, text => {
    const word = words.find(each => each.toLowerCase() === text.toLowerCase());
    return word === undefined ? undefined : { value: word };
  });
}

/** Felix needs two bits at least. */
export const markMask = reader('a mask of 32 bits with at least two set', text => {
  const value = goInteger(text);
  if (value === undefined || value < 0 || value > 0xffffffff) return undefined;
  let bits = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits < 2 ? undefined : { value };
});

/** `1-250`, or several: whatever stands between them, as Felix takes it. */
export function tableRanges(last: number): Reader<readonly TableRange[] | undefined> {
  return reader(`ranges of route tables from 1 to ${last}, like 1-250`, text => {
    const ranges = [...text.matchAll(/(\d+)-(\d+)/g)].map(([, min, max]) => ({ min: Number(min), max: Number(max) }));
    const good = ranges.length > 0 && ranges.every(({ min, max }) => min >= 1 && min <= max && max <= last);
    return good ? { value: ranges } : undefined;
  });
}

function reader<T>(expected: string, read: (text: string) => { readonly value: T } | undefined): Reader<T> {
  return Object.assign((text: string) => read(text), { expected });
}

/** strconv.ParseInt with base 0. */
function goInteger(text: string): number | undefined {
  const match = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/.exec(text);
  if (!match) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const value =
    hex !== undefined
      ? Number.parseInt(hex, 16)
      : binary !== undefined
        ? Number.parseInt(binary, 2)
        : octal !== undefined
          ? Number.parseInt(octal, 8)
          : Number(decimal);
  if (!Number.isSafeInteger(value)) return undefined;
  return sign === '-' && value !== 0 ? -value : value;
}
