/**
 * The few nf_tables expressions that this program's rules use (linux/netfilter/nf_tables.h), each
 * as one element of a rule. One register is enough for them. Numbers in attributes are in network
 * order; register contents are in the processor's order.
 */
import { AttributeWriter } from './attributes.ts';
import { setU32 } from './native-order.ts';

const EXPRESSION = { name: 1, data: 2 } as const;
const LIST_ELEMENT = 1;
const DATA = { value: 1, verdict: 2 } as const;
const VERDICT_CODE = 1;
const REGISTER = { verdict: 0, first: 1 } as const;
const META = { destination: 1, key: 2, source: 3 } as const;
const META_KEY = { mark: 3, inputName: 6, outputName: 7, l4Protocol: 16 } as const;
const COMPARE = { source: 1, operation: 2, data: 3 } as const;
const PAYLOAD = { destination: 1, base: 2, offset: 3, length: 4 } as const;
const [NETWORK_HEADER, TRANSPORT_HEADER] = [1, 2];
const FIB = { destination: 1, result: 2, flags: 3 } as const;
const FIB_ADDRESS_TYPE = 3;
const FIB_FLAG = { source: 1, outputInterface: 16 } as const;
const IMMEDIATE = { destination: 1, data: 2 } as const;
const CONNTRACK = { destination: 1, key: 2, source: 4 } as const;
const CONNTRACK_MARK = 3;
const BITWISE = { source: 1, destination: 2, length: 3, mask: 4, xor: 5 } as const;
const LOOKUP = { set: 1, source: 2 } as const;
const [DROP, ACCEPT] = [0, 1];
const NAME_SIZE = 16;

/** Appends an expression to a rule's list. */
export type Expression = (list: AttributeWriter) => void;

export type MetaKey = keyof typeof META_KEY;

/** Loads metadata of the packet, such as its mark or interface. */
export function loadMeta(key: MetaKey): Expression {
  return expression('meta', data => data.bytes(META.destination, be32(1)).bytes(META.key, be32(META_KEY[key])));
}

export function setMetaMark(): Expression {
  return expression('meta', data => data.bytes(META.key, be32(META_KEY.mark)).bytes(META.source, be32(1)));
}

export function loadConnectionMark(): Expression {
  return expression('ct', data =>
    data.bytes(CONNTRACK.destination, be32(REGISTER.first)).bytes(CONNTRACK.key, be32(CONNTRACK_MARK)),
  );
}

export function setConnectionMark(): Expression {
  return expression('ct', data =>
    data.bytes(CONNTRACK.key, be32(CONNTRACK_MARK)).bytes(CONNTRACK.source, be32(REGISTER.first)),
  );
}

/** Continues the rule only for packets whose register compares as given. */
export function compare(operation: '==' | '!=', value: Uint8Array): Expression {
  return expression('cmp', data =>
    data
      .bytes(COMPARE.source, be32(REGISTER.first))
      .bytes(COMPARE.operation, be32(operation === '==' ? 0 : 1))
      .nest(COMPARE.data, inside => inside.bytes(DATA.value, value)),
  );
}

/** Loads bytes of the IP header. */
export function loadNetworkHeader(offset: number, length: number): Expression {
  return expression('payload', data =>
    data
      .bytes(PAYLOAD.destination, be32(REGISTER.first))
      .bytes(PAYLOAD.base, be32(NETWORK_HEADER))
      .bytes(PAYLOAD.offset, be32(offset))
      .bytes(PAYLOAD.length, be32(length)),
  );
}

/** Loads bytes of the header after the IP header (UDP, TCP). */
export function loadTransportHeader(offset: number, length: number): Expression {
  return expression('payload', data =>
    data
      .bytes(PAYLOAD.destination, be32(REGISTER.first))
      .bytes(PAYLOAD.base, be32(TRANSPORT_HEADER))
      .bytes(PAYLOAD.offset, be32(offset))
      .bytes(PAYLOAD.length, be32(length)),
  );
}

/**
 * Loads the route type (RTN_*) of the source address.
 * @param onOutput whether to look the type up from the interface by which the packet leaves
 */
export function loadSourceType(onOutput = false): Expression {
  const flags = FIB_FLAG.source | (onOutput ? FIB_FLAG.outputInterface : 0);
  return expression('fib', data =>
    data
      .bytes(FIB.destination, be32(REGISTER.first))
      .bytes(FIB.result, be32(FIB_ADDRESS_TYPE))
      .bytes(FIB.flags, be32(flags)),
  );
}

/** Sets the register to `(register & mask) ^ xor`. */
export function bitwise(mask: Uint8Array, xor: Uint8Array): Expression {
  return expression('bitwise', data =>
    data
      .bytes(BITWISE.source, be32(REGISTER.first))
      .bytes(BITWISE.destination, be32(REGISTER.first))
      .bytes(BITWISE.length, be32(mask.length))
      .nest(BITWISE.mask, inside => inside.bytes(DATA.value, mask))
      .nest(BITWISE.xor, inside => inside.bytes(DATA.value, xor)),
  );
}

/** Continues the rule only for packets whose register is in the named set of the same table. */
export function isInSet(set: string): Expression {
  return expression('lookup', data => data.string(LOOKUP.set, set).bytes(LOOKUP.source, be32(REGISTER.first)));
}

export function drop(): Expression {
  return verdictOf(DROP);
}

/** Accepts the packet in this chain only. Chains of other tables may still drop it. */
export function accept(): Expression {
  return verdictOf(ACCEPT);
}

/**
 * Masquerades: replaces the source address of the packet's connection with an address of the
 * interface by which the packet leaves. Valid only in chains of type `nat`.
 */
export function masquerade(): Expression {
  return expression('masq', () => {});
}

function verdictOf(code: number): Expression {
  return expression('immediate', data =>
    data
      .bytes(IMMEDIATE.destination, be32(REGISTER.verdict))
      .nest(IMMEDIATE.data, inside => inside.nest(DATA.verdict, verdict => verdict.bytes(VERDICT_CODE, be32(code)))),
  );
}

/** Formats an interface name in the form that a register holds. */
export function nameValue(name: string): Uint8Array {
  const bytes = new Uint8Array(NAME_SIZE);
  bytes.set(
    new AttributeWriter()
      .string(0, name)
      .finish()
      .subarray(4, 4 + NAME_SIZE - 1),
  );
  return bytes;
}

/** Formats the beginning of an interface name, for `compare`. */
export function namePrefixValue(prefix: string): Uint8Array {
  const name = nameValue(prefix);
  return name.subarray(0, name.indexOf(0));
}

/** Formats a 32-bit number in the form that a register holds. */
export function numberValue(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, value);
  return bytes;
}

/** Formats a 32-bit number in network order. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function expression(name: string, fill: (data: AttributeWriter) => void): Expression {
  return list => {
    list.nest(LIST_ELEMENT, element => element.string(EXPRESSION.name, name).nest(EXPRESSION.data, fill));
  };
}
