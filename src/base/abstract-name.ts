/**
 * Names in Linux's abstract socket namespace, by which our processes find or exclude each other.
 * Each network namespace has its own.
 */
import { encodeText } from './utf8.ts';

/** The bytes of sun_path (unix(7)). */
const NAME_BYTES = 108;

/** The lock of the Calico agents of a node. No interface has a lock of this name. */
export const AGENT_LOCK = 'wireguard-ts/calico-agent';

/**
 * Returns the name of a socket for this text. It fills sun_path: Node.js before version 22
 * pads shorter names with zeros and later versions do not, so processes on both would otherwise
 * use different names.
 * @throws Error if the text is too long
 */
export function abstractName(text: string): string {
  const name = `\0${text}`;
  const missing = NAME_BYTES - encodeText(name).length;
  if (missing < 0) throw new Error(`${JSON.stringify(text)} is too long for the name of a socket`);
  return name + '.'.repeat(missing);
}
