/**
 * The state of a running device as bytes, for the process that takes it over: the version, the
 * structure (node:v8), then all arrays of bytes together. So every secret is in one buffer, which
 * is erased after use. V8's own serializer would leave copies of them in memory that it frees.
 */
import { DefaultDeserializer, DefaultSerializer } from 'node:v8';
import { newSecret } from '../base/bytes.ts';
import { ENGINE_STATE_VERSION, type EngineState } from '../protocol/engine-state.ts';

/** Raise it with every change of DeviceState, or of the layout of the bytes. */
const DEVICE_STATE_VERSION = 1;
/** The versions that this program reads. */
export const READABLE = { device: [DEVICE_STATE_VERSION], engine: [ENGINE_STATE_VERSION] } as const;

/** All that the next process needs of this one. */
export interface DeviceState {
  readonly engine: EngineState;
  readonly loop: LoopState;
  /** The control socket's path, the inode there, and whether its process removes it at the end. */
  readonly control: { readonly path: string; readonly inode: number; readonly removes: boolean };
  /** Whether one of our processes created the link, so that a normal end deletes it. */
  readonly isOurs: boolean;
  /** When the device stopped, in milliseconds since boot. */
  readonly frozenAt: number;
}

/** What the loop knows besides its engine. */
export interface LoopState {
  readonly port: number;
  readonly mark: number;
  /** Counters before this process ends, by name. */
  readonly counters: Readonly<Record<string, number>>;
  /** What the TUN's adapter knows (GivenTun.kept). */
  readonly tun: Int32Array;
  /** Which of the four UDP sockets are open (Udp.given). */
  readonly sockets: readonly boolean[];
}

const ALIGNMENT = 8;
const HEADER_SIZE = 16;
const VIEWS = [Uint8Array, Int32Array, Uint32Array, Float64Array] as const;
type View = InstanceType<(typeof VIEWS)[number]>;

/** Returns the bytes of a state. Erase them after use. */
export function encodeDeviceState(state: DeviceState): Uint8Array {
  const writer = new StateWriter();
  writer.writeHeader();
  writer.writeValue(state);
  const structure = writer.releaseBuffer();
  const start = aligned(HEADER_SIZE + structure.length);
  const bytes = newSecret(start + writer.size);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, DEVICE_STATE_VERSION, true);
  header.setUint32(4, state.engine.version, true);
  header.setUint32(8, structure.length, true);
  bytes.set(structure, HEADER_SIZE);
  for (const { view, at } of writer.views)
    bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), start + at);
  return bytes;
}

/**
 * Returns the state in these bytes. Its arrays are views of them, so erase the bytes after use. The
 * engine checks its own part.
 * @throws Error that names what is wrong
 */
export function decodeDeviceState(bytes: Uint8Array): DeviceState {
  if (bytes.length < HEADER_SIZE) throw new Error('the state is too short');
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = header.getUint32(0, true);
  if (version !== DEVICE_STATE_VERSION)
    throw new Error(`the state has version ${version}; this program reads ${DEVICE_STATE_VERSION}`);
  const length = header.getUint32(8, true);
  if (HEADER_SIZE + length > bytes.length) throw new Error('the state is incomplete');
  const reader = new StateReader(
    bytes.subarray(HEADER_SIZE, HEADER_SIZE + length),
    bytes.subarray(Math.min(aligned(HEADER_SIZE + length), bytes.length)),
  );
  reader.readHeader();
  return checkDeviceState(reader.readValue());
}

function checkDeviceState(value: unknown): DeviceState {
  const { engine, loop, control, isOurs, frozenAt } = (value ?? {}) as Partial<DeviceState>;
  const isRight =
    isObject(engine) &&
    isObject(loop) &&
    isUint(loop.port, 0xffff) &&
    isUint(loop.mark, 0xffffffff) &&
    loop.tun instanceof Int32Array &&
    Array.isArray(loop.sockets) &&
    loop.sockets.length === 4 &&
    typeof loop.counters === 'object' &&
    Object.values(loop.counters ?? {}).every(count => Number.isFinite(count)) &&
    typeof control?.path === 'string' &&
    isUint(control.inode, Number.MAX_SAFE_INTEGER) &&
    typeof control.removes === 'boolean' &&
    typeof isOurs === 'boolean' &&
    Number.isFinite(frozenAt);
  if (!isRight) throw new Error('the state is not one of a device');
  return value as DeviceState;
}

function isObject<T>(value: T | undefined): value is T & object {
  return typeof value === 'object' && value !== null;
}

function isUint(value: unknown, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

/** Writes arrays as their type, place and length. */
class StateWriter extends DefaultSerializer {
  readonly views: { readonly view: View; readonly at: number }[] = [];
  size = 0;

  _writeHostObject(view: View): void {
    const type = VIEWS.findIndex(each => view instanceof each);
    if (type < 0) throw new Error('a state holds only arrays of bytes, integers and doubles');
    this.writeUint32(type);
    this.writeUint32(this.size);
    this.writeUint32(view.length);
    this.views.push({ view, at: this.size });
    this.size = aligned(this.size + view.byteLength);
  }
}

class StateReader extends DefaultDeserializer {
  readonly #arrays: Uint8Array;

  constructor(structure: Uint8Array, arrays: Uint8Array) {
    super(structure);
    this.#arrays = arrays;
  }

  _readHostObject(): View {
    const View = VIEWS[this.readUint32()];
    const at = this.readUint32();
    const length = this.readUint32();
    if (!View || at % ALIGNMENT !== 0 || at + length * View.BYTES_PER_ELEMENT > this.#arrays.length)
      throw new Error('the state has an array outside of it');
    return new View(this.#arrays.buffer as ArrayBuffer, this.#arrays.byteOffset + at, length);
  }
}
