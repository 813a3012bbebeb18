/**
 * What both sides of a hand-over say about themselves first: the version of the exchange, of the
 * state, and of the program; the network namespace.
 */
import { statSync } from 'node:fs';
import { READABLE } from './device-state.ts';

/** The version of the exchange. Raise it if an older program would misread a message. */
const PROTOCOL = 1;
/** The longest text of the other side that is shown to people. */
const MOST_SHOWN = 200;

/**
 * Returns the greeting of a process that wants to take over.
 * @param program the version of this program, read at its start: an upgrade replaces the file
 */
export function makeHello(program: string): object {
  return { protocol: PROTOCOL, program, netns: networkNamespace(), ...READABLE };
}

/** Returns the answer to a greeting that was accepted. */
export function makeOffer(program: string): object {
  return { protocol: PROTOCOL, program, process: process.pid };
}

/** Returns why a process with this greeting cannot take over; undefined if it can. */
export function objectionTo(hello: Readonly<Record<string, unknown>>, program: string): string | undefined {
  const { protocol, device, engine, netns } = hello;
  if (protocol !== PROTOCOL)
    return `it speaks version ${shown(protocol)} of the hand-over, and the running program (${program}) version ${PROTOCOL}`;
  const [ofDevice, ofEngine] = [READABLE.device[0], READABLE.engine[0]];
  if (!isList(device) || !device.includes(ofDevice) || !isList(engine) || !engine.includes(ofEngine))
    return `it cannot read the running program's state (program ${program}, state version ${ofDevice}.${ofEngine}); stop the old process and start the new one, which makes new sessions`;
  const own = networkNamespace();
  if (own !== 0 && netns !== 0 && netns !== own)
    return `it runs in another network namespace than the process of the interface; start it there: nsenter --net=/proc/${process.pid}/ns/net`;
  return undefined;
}

/** Returns the other side's program version as text for people. */
export function programOf(facts: Readonly<Record<string, unknown>>): string {
  return shown(facts['program']);
}

/**
 * Returns text or a number of the other side for people: short, printable, on one line. Of anything
 * else, returns its type, because an object may not convert to a string.
 */
export function shown(value: unknown): string {
  return (typeof value === 'string' || typeof value === 'number' ? String(value) : nameOfType(value))
    .replace(/[^ -~]/g, '?')
    .slice(0, MOST_SHOWN);
}

/** `undefined` would read as a fault of this program. */
function nameOfType(value: unknown): string {
  return value === undefined ? 'unknown' : typeof value;
}

/** Returns the inode of this process's network namespace; 0 if it is unknown. */
function networkNamespace(): number {
  return statSync('/proc/self/ns/net', { throwIfNoEntry: false })?.ino ?? 0;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
