/**
 * Numbers of objects that others wrote, as exact as they are written: Calico counts in nanoseconds, beyond 2^53, where a JavaScript number is another one.
 * Integers that are not safe are `bigint`, other numbers that JavaScript would round are an ExactNumber, all the rest are numbers.
 */
export class ExactNumber {
  /** As JSON has it. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type AnyNumber = number | bigint | ExactNumber;

/** @param text a number as JSON writes it */
export function exactNumber(text: string): AnyNumber {
  const value = Number(text);
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(value) ? value : BigInt(text);
  return Number.isFinite(value) && decimal(text) === decimal(String(value)) ? value : new ExactNumber(text);
}

/** The same text for the same number: its significant digits, and where the point is. */
function decimal(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}0.${significant}e${BigInt(exponent) + BigInt(digits.length - fraction.length)}`;
}
