/**
 * Runs the BPF programs of seccomp filters (kernel/seccomp.c, linux/filter.h), so that a filter can
 * be asked about dangerous calls, and on emulators that have no seccomp.
 */

/** What the kernel gives a filter (struct seccomp_data). */
export interface Question {
  readonly architecture: number;
  readonly number: number;
  readonly args?: readonly (number | bigint)[];
}

export type Verdict = 'allow' | 'kill' | `errno ${number}`;

export const AUDIT_ARCH = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;
const INSTRUCTION = 8;
const [LD_ABS, JEQ, JGE, JSET, AND, RET] = [0x20, 0x15, 0x35, 0x45, 0x54, 0x06];

/** @throws Error for an instruction that a filter may not have, and for a missing verdict */
export function runFilter(program: Uint8Array, question: Question): Verdict {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, question.number, true);
  data.setUint32(4, question.architecture, true);
  (question.args ?? []).forEach((value, i) => {
    data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, BigInt(value)), true);
  });
  let accumulator = 0;
  for (let at = 0; at * INSTRUCTION < program.byteLength; at++) {
    const operation = code.getUint16(at * INSTRUCTION, true);
    const [yes, no] = [code.getUint8(at * INSTRUCTION + 2), code.getUint8(at * INSTRUCTION + 3)];
    const k = code.getUint32(at * INSTRUCTION + 4, true);
    if (operation === RET) return verdictOf(k);
    if (operation === LD_ABS) accumulator = data.getUint32(k, true);
    else if (operation === AND) accumulator = (accumulator & k) >>> 0;
    else if (operation === JEQ) at += accumulator === k ? yes : no;
    else if (operation === JGE) at += accumulator >= k ? yes : no;
    else if (operation === JSET) at += (accumulator & k) !== 0 ? yes : no;
    else throw new Error(`instruction ${at}: code 0x${operation.toString(16)}`);
  }
  throw new Error('the program ends without a verdict');
}

function verdictOf(action: number): Verdict {
  if (action === 0x7fff0000) return 'allow';
  if (action === 0x80000000) return 'kill';
  if (action >>> 16 === 5) return `errno ${action & 0xffff}`;
  throw new Error(`unexpected action 0x${action.toString(16)}`);
}
