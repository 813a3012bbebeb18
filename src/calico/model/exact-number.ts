/**
 * Keeps the numbers in other programs' objects exact. Calico counts nanoseconds beyond 2^53, which
 * a JavaScript number would round. An unsafe integer becomes a `bigint`, another number that would
 * be rounded becomes an ExactNumber, and every other number stays a number.
 */
export class ExactNumber {
  /** The number as JSON writes it. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type AnyNumber = number | bigint | ExactNumber;

/**
 * Converts a number from its text.
 * @param text a number as JSON writes it
 */
export function exactNumber(text: string): AnyNumber {
  const value = Number(text);
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(value) ? value : BigInt(text);
  return Number.isFinite(value) && decimal(text) === decimal(String(value)) ? value : new ExactNumber(text);
}

/** Returns a canonical text: equal numbers yield equal texts. */
function decimal(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}0.${significant}e${BigInt(exponent) + BigInt(digits.length - fraction.length)}`;
}
