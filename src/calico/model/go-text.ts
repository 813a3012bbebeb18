/**
 * Parses numbers and durations as Go (strconv, time) and therefore Felix does: `0x1F`, `1_000`,
 * `1h5m`. The parsers return undefined for a text that Go rejects.
 */

const DIGITS = String.raw`\d+(?:_\d+)*`;
const HEX = String.raw`[\da-fA-F]+(?:_[\da-fA-F]+)*`;
const INTEGER = new RegExp(
  `^([+-]?)(?:0[xX]_?(${HEX})|0[bB]_?([01]+(?:_[01]+)*)|0[oO]_?([0-7]+(?:_[0-7]+)*)|(0(?:_?[0-7])*)|([1-9]\\d*(?:_\\d+)*))$`,
);
const DECIMAL = new RegExp(`^[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?$`);
const HEX_FLOAT = new RegExp(`^([+-]?)0[xX](?:_?(${HEX})(?:\\.(${HEX})?)?|\\.(${HEX}))[pP]([+-]?${DIGITS})$`);
const INFINITE = /^([+-]?)inf(?:inity)?$/i;
const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const MAX_INT64 = (1n << 63n) - 1n;

/** Parses like strconv.ParseInt with base 0 and 64 bits. */
export function goInteger(text: string): bigint | undefined {
  const value = integer(text);
  return value === undefined || value > MAX_INT64 || value < -MAX_INT64 - 1n ? undefined : value;
}

/** Parses like strconv.ParseUint with base 0: an integer without a sign. */
export function goUnsigned(text: string, bits: number): bigint | undefined {
  const value = /^[+-]/.test(text) ? undefined : integer(text);
  return value === undefined || value >= 1n << BigInt(bits) ? undefined : value;
}

/** Parses like strconv.ParseFloat with 64 bits. */
export function goFloat(text: string): number | undefined {
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinite = INFINITE.exec(text);
  if (infinite) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = DECIMAL.test(text) ? Number(text.replaceAll('_', '')) : hexFloat(text);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

/** Parses like time.ParseDuration; returns nanoseconds. */
export function goDuration(text: string): bigint | undefined {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text)!;
  if (rest === '0') return 0n;
  const parts = [...rest!.matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)];
  if (rest === '' || parts.map(([part]) => part).join('') !== rest) return undefined;
  let sum = 0n;
  for (const [, whole = '', fraction = '', unit] of parts) {
    if (whole + fraction === '') return undefined;
    const scale = NANOSECONDS[unit!]!;
    sum += BigInt(whole || '0') * scale + fractionOf(scale, fraction);
  }
  const value = sign === '-' ? -sum : sum;
  return value > MAX_INT64 || value < -MAX_INT64 - 1n ? undefined : value;
}

/**
 * Scales a decimal fraction. Like Go, it calculates in floating point and drops digits that do not
 * fit in 63 bits, so a third of an hour may yield 1200 s or one nanosecond less.
 */
function fractionOf(scale: bigint, digits: string): bigint {
  let value = 0n;
  let power = 1;
  for (const digit of digits) {
    const longer = value * 10n + BigInt(digit);
    if (value > MAX_INT64 / 10n || longer > MAX_INT64 + 1n) break;
    value = longer;
    power *= 10;
  }
  return BigInt(Math.trunc(Number(value) * (Number(scale) / power)));
}

function integer(text: string): bigint | undefined {
  const match = INTEGER.exec(text.length > 100 ? '' : text);
  if (!match) return undefined;
  const [, sign, hex, binary, octal, old, decimal] = match.map(each => each?.replaceAll('_', ''));
  let value: bigint;
  if (hex !== undefined) value = BigInt(`0x${hex}`);
  else if (binary !== undefined) value = BigInt(`0b${binary}`);
  else if (decimal !== undefined) value = BigInt(decimal);
  else value = BigInt(`0o${octal ?? old}`);
  return sign === '-' ? -value : value;
}

function hexFloat(text: string): number | undefined {
  const match = HEX_FLOAT.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', only = '', power] = match.map(each => each?.replaceAll('_', ''));
  const digits = whole + fraction + only;
  if (/^0*$/.test(digits)) return 0;
  const value = Number(BigInt(`0x${digits}`)) * 2 ** (Number(power) - 4 * (fraction + only).length);
  return sign === '-' ? -value : value;
}
