/** The ELF headers of a dynamic library (64 bits, little-endian). */

export interface Elf {
  /** e_machine: 62 is x86-64, 183 is arm64. */
  readonly machine: number;
  readonly needed: string[];
  /** Versions of the symbols of other libraries, like GLIBC_2.17. */
  readonly versions: string[];
  /** Names of dynamic symbols. */
  readonly defined: string[];
  readonly undefined: string[];
  readonly relro: boolean;
  readonly now: boolean;
  readonly nodelete: boolean;
  readonly executableStack: boolean;
  readonly runPath: boolean;
}

interface Section {
  readonly type: number;
  readonly bytes: Buffer;
  readonly link: number;
}

const [DYNAMIC, DYNSYM, VERNEED] = [6, 11, 0x6ffffffe];
const [DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1] = [1, 15, 29, 30, 0x6ffffffb];
const [GNU_STACK, GNU_RELRO] = [0x6474e551, 0x6474e552];
const [BIND_NOW, NODELETE, EXECUTE] = [8, 8, 1];
const SYMBOL_SIZE = 24;

/** @throws Error if the bytes are not a 64-bit ELF file */
export function readElf(file: Buffer): Elf {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) throw new Error('not a 64-bit ELF file');
  const sections = readSections(file);
  const segments = readSegments(file);
  const strings = (section: Section, at: number) => text(sections[section.link]!.bytes, at);
  const dynamic = sections.find(({ type }) => type === DYNAMIC)!;
  const entries: [number, number][] = [];
  for (let at = 0; at < dynamic.bytes.length; at += 16)
    entries.push([Number(dynamic.bytes.readBigUInt64LE(at)), Number(dynamic.bytes.readBigUInt64LE(at + 8))]);
  const flags = (tag: number) => entries.find(([found]) => found === tag)?.[1] ?? 0;
  const symbols = sections.find(({ type }) => type === DYNSYM)!;
  const [defined, missing]: [string[], string[]] = [[], []];
  for (let at = SYMBOL_SIZE; at < symbols.bytes.length; at += SYMBOL_SIZE)
    (symbols.bytes.readUInt16LE(at + 6) === 0 ? missing : defined).push(
      strings(symbols, symbols.bytes.readUInt32LE(at)),
    );
  return {
    machine: file.readUInt16LE(18),
    needed: entries.filter(([tag]) => tag === DT_NEEDED).map(([, at]) => strings(dynamic, at)),
    versions: sections.filter(({ type }) => type === VERNEED).flatMap(section => versions(section, strings)),
    defined,
    undefined: missing,
    relro: segments.some(([type]) => type === GNU_RELRO),
    now: (flags(DT_FLAGS) & BIND_NOW) !== 0,
    nodelete: (flags(DT_FLAGS_1) & NODELETE) !== 0,
    executableStack: !segments.some(([type, mode]) => type === GNU_STACK && (mode & EXECUTE) === 0),
    runPath: entries.some(([tag]) => tag === DT_RPATH || tag === DT_RUNPATH),
  };
}

function readSections(file: Buffer): Section[] {
  const [start, size, count] = [Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    const [offset, length] = [Number(file.readBigUInt64LE(at + 24)), Number(file.readBigUInt64LE(at + 32))];
    return {
      type: file.readUInt32LE(at + 4),
      bytes: file.subarray(offset, offset + length),
      link: file.readUInt32LE(at + 40),
    };
  });
}

/** Types and flags of the program headers. */
function readSegments(file: Buffer): [number, number][] {
  const [start, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
  });
}

/** Reads a list of libraries, each with a list of versions. */
function versions(section: Section, strings: (section: Section, at: number) => string): string[] {
  const found: string[] = [];
  for (let at = 0, next = 1; next !== 0; at += next) {
    let entry = at + section.bytes.readUInt32LE(at + 8);
    for (let left = section.bytes.readUInt16LE(at + 2); left > 0; left--) {
      found.push(strings(section, section.bytes.readUInt32LE(entry + 8)));
      entry += section.bytes.readUInt32LE(entry + 12);
    }
    next = section.bytes.readUInt32LE(at + 12);
  }
  return found;
}

function text(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}
