/**
 * Reads and writes YAML with js-yaml. The values are those of JSON, as in Kubernetes, but numbers
 * are exact (exact-number.ts).
 */
import { ExactNumber, exactNumber } from '../../model/exact-number.ts';

export interface Yaml {
  /** @throws Error that names the line */
  load(text: string): unknown;
  /** Leaves out fields without a value. */
  dump(value: unknown): string;
}

/** The parts of js-yaml's scalar types that we use. */
interface Scalar {
  readonly resolve: (text: unknown) => boolean;
  readonly construct: (text: string) => unknown;
  readonly predicate: (value: object) => boolean;
  readonly represent: (value: object, style: string) => unknown;
}

/** Loads js-yaml, which is an optional dependency. */
export async function loadYamlLibrary(): Promise<Yaml> {
  const { default: yaml } = await import('js-yaml');
  // The type declarations of js-yaml lack these two types.
  const { int, float } = (yaml as unknown as { readonly types: Readonly<Record<'int' | 'float', Scalar>> }).types;
  const scalar = { kind: 'scalar' } as const;
  const exactInt = new yaml.Type('tag:yaml.org,2002:int', {
    ...scalar,
    resolve: int.resolve,
    construct: (text: string) => integer(text) ?? int.construct(text),
    predicate: value => typeof value === 'bigint' || int.predicate(value),
    represent: String,
  });
  const exactFloat = new yaml.Type('tag:yaml.org,2002:float', {
    ...scalar,
    // js-yaml treats a number that overflows to Infinity as text.
    resolve: text => float.resolve(text) || (typeof text === 'string' && fraction(text) instanceof ExactNumber),
    construct: (text: string) => fraction(text) ?? float.construct(text),
    predicate: value => value instanceof ExactNumber || float.predicate(value),
    represent: value => (value instanceof ExactNumber ? value.text : float.represent(value, 'lowercase')),
  });
  const schema = yaml.DEFAULT_SCHEMA.extend({ implicit: [exactInt, exactFloat] });
  return {
    load: text => yaml.load(text, { schema }),
    dump: value => yaml.dump(value, { schema, lineWidth: -1, noRefs: true, skipInvalid: true }),
  };
}

/**
 * Returns an integer that needs a bigint. Returns undefined for other integers, which js-yaml reads
 * correctly.
 */
function integer(text: string): unknown {
  const [, sign, digits] = /^([-+]?)(0[box][\da-f]+|\d+)$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(digits.toLowerCase());
  const whole = sign === '-' ? -value : value;
  return Number.isSafeInteger(Number(whole)) ? undefined : whole;
}

/** Like `integer`, for a number with a decimal point or an exponent. */
function fraction(text: string): unknown {
  const [, sign, whole = '', rest = '', exponent] = /^([-+]?)(\d*)\.?(\d*)(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  if (sign === undefined || whole + rest === '') return undefined;
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  const json = `${sign === '-' ? '-' : ''}${digits}${rest && `.${rest}`}${exponent === undefined ? '' : `e${exponent}`}`;
  const value = exactNumber(json);
  return typeof value === 'number' ? undefined : value;
}
