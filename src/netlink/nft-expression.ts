/**
 * The few expressions of nf_tables that this program's rules are made of (linux/netfilter/nf_tables.h), each as one element of a rule.
 * One register is enough for them. Numbers in attributes are in network order; what registers hold is as the processor has it.
 */
import { AttributeWriter } from './attributes.ts';
import { setU32 } from './native-order.ts';

const EXPRESSION = { name: 1, data: 2 } as const;
const LIST_ELEMENT = 1;
const DATA = { value: 1, verdict: 2 } as const;
const VERDICT_CODE = 1;
const REGISTER = { verdict: 0, first: 1 } as const;
const META = { destination: 1, key: 2, source: 3 } as const;
const META_KEY = { mark: 3, inputName: 6, l4Protocol: 16 } as const;
const COMPARE = { source: 1, operation: 2, data: 3 } as const;
const PAYLOAD = { destination: 1, base: 2, offset: 3, length: 4 } as const;
const NETWORK_HEADER = 1;
const FIB = { destination: 1, result: 2, flags: 3 } as const;
const FIB_ADDRESS_TYPE = 3;
const FIB_SOURCE = 1;
const IMMEDIATE = { destination: 1, data: 2 } as const;
const CONNTRACK = { destination: 1, key: 2, source: 4 } as const;
const CONNTRACK_MARK = 3;
const DROP = 0;
const NAME_SIZE = 16;

/** Writes itself into the list of a rule's expressions. */
export type Expression = (list: AttributeWriter) => void;

export type MetaKey = keyof typeof META_KEY;

/** Loads something of the packet that is no part of its bytes. */
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

/** The rule ends here for packets where the register is not so. */
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

/** Loads what the routing tables say of the source: one of RTN_*. */
export function loadSourceType(): Expression {
  return expression('fib', data =>
    data
      .bytes(FIB.destination, be32(REGISTER.first))
      .bytes(FIB.result, be32(FIB_ADDRESS_TYPE))
      .bytes(FIB.flags, be32(FIB_SOURCE)),
  );
}

export function drop(): Expression {
  return expression('immediate', data =>
    data
      .bytes(IMMEDIATE.destination, be32(REGISTER.verdict))
      .nest(IMMEDIATE.data, inside => inside.nest(DATA.verdict, verdict => verdict.bytes(VERDICT_CODE, be32(DROP)))),
  );
}

/** A name as the register of an interface name holds it. */
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

/** A number of 32 bits as a register holds it. */
export function numberValue(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, value);
  return bytes;
}

/** In network order. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function expression(name: string, fill: (data: AttributeWriter) => void): Expression {
  return list => {
    list.nest(LIST_ELEMENT, element => element.string(EXPRESSION.name, name).nest(EXPRESSION.data, fill));
  };
}
