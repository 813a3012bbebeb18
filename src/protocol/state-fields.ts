/**
 * Reads the fields of an unchecked object, for engine-state-check.ts. Each method returns the
 * checked value or throws an Error that names the field. No message contains a value that could be
 * secret.
 */

/** The last instant that a double counts without gaps. */
const LAST_TIME_MS = Number.MAX_SAFE_INTEGER;
const MOST_BIGINT = 2n ** 63n;

type TypedArray = Uint8Array | Uint32Array | Float64Array;

export class StateFields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /**
   * @param path of the object, for messages; empty for the state itself
   * @throws Error if the value is not an object
   */
  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
      throw new Error(`engine state: ${path === '' ? 'the state' : path} is not an object`);
    this.#object = value as Readonly<Record<string, unknown>>;
    this.#path = path === '' ? '' : `${path}.`;
  }

  /** @returns the fields of an object in a field */
  object(name: string): StateFields {
    return new StateFields(this.#object[name], this.#path + name);
  }

  /** @returns the same, or undefined if the field is */
  optional(name: string): StateFields | undefined {
    return this.#object[name] === undefined ? undefined : this.object(name);
  }

  /** @returns the fields of each object in an array */
  *list(name: string, most: number): Generator<StateFields> {
    const value = this.#object[name];
    if (!Array.isArray(value)) this.fail(name, 'is not an array');
    if (value.length > most) this.fail(name, `has ${value.length} entries; the most is ${most}`);
    for (let i = 0; i < value.length; i++) yield new StateFields(value[i], `${this.#path}${name}[${i}]`);
  }

  boolean(name: string): void {
    if (typeof this.#object[name] !== 'boolean') this.fail(name, 'is not a boolean');
  }

  integer(name: string, most: number): number {
    const value = this.#object[name];
    if (!Number.isInteger(value)) this.fail(name, 'is not a whole number');
    const number = value as number;
    if (number < 0 || number > most) this.fail(name, `is not from 0 to ${most}`);
    return number;
  }

  /** Checks a number that may be absent. */
  optionalInteger(name: string, most: number): void {
    if (this.#object[name] !== undefined) this.integer(name, most);
  }

  /** Checks an instant in milliseconds. @param never the value that means "never", if allowed */
  time(name: string, never?: number): void {
    const value = this.#object[name];
    if (typeof value !== 'number' || !isTime(value, never)) this.fail(name, 'is not a time');
  }

  bigint(name: string): void {
    const value = this.#object[name];
    if (typeof value !== 'bigint') this.fail(name, 'is not a bigint');
    if (value < -MOST_BIGINT || value >= MOST_BIGINT) this.fail(name, 'does not fit into 64 bits');
  }

  /** Checks an array of exactly `length` bytes. */
  bytes(name: string, length: number): Uint8Array {
    const value = this.bytesUpTo(name, length);
    if (value.length !== length) this.fail(name, `has ${value.length} bytes instead of ${length}`);
    return value;
  }

  optionalBytes(name: string, length: number): void {
    if (this.#object[name] !== undefined) this.bytes(name, length);
  }

  bytesUpTo(name: string, most: number): Uint8Array {
    return this.#array<Uint8Array>(name, Uint8Array, most);
  }

  words(name: string, most: number): Uint32Array {
    return this.#array<Uint32Array>(name, Uint32Array, most);
  }

  /** Checks an array of numbers from 0 to `most`. */
  numbers(name: string, length: number, most: number): void {
    const value = this.#array<Float64Array>(name, Float64Array, length);
    if (value.length !== length) this.fail(name, `has ${value.length} numbers instead of ${length}`);
    if (!value.every(number => number >= 0 && number <= most)) this.fail(name, `has a number not from 0 to ${most}`);
  }

  /** Checks an array of `length` instants. */
  times(name: string, length: number, never?: number): void {
    const value = this.#array<Float64Array>(name, Float64Array, length);
    if (value.length !== length) this.fail(name, `has ${value.length} times instead of ${length}`);
    if (!value.every(number => isTime(number, never))) this.fail(name, 'has a number that is not a time');
  }

  fail(name: string, problem: string): never {
    throw new Error(`engine state: ${this.#path}${name} ${problem}`);
  }

  /** A subclass such as Buffer is refused, because its slice() does not copy. */
  #array<T extends TypedArray>(name: string, type: new (length: number) => T, most: number): T {
    const value = this.#object[name];
    if (!(value instanceof type) || Object.getPrototypeOf(value) !== type.prototype)
      this.fail(name, `is not a ${type.name}`);
    if (value.length > most) this.fail(name, `has ${value.length} elements; the most is ${most}`);
    return value;
  }
}

function isTime(value: number, never: number | undefined): boolean {
  return value === never || (value >= 0 && value <= LAST_TIME_MS);
}
