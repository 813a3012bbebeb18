/** Keys from files, as `wg set ... private-key FILE` takes them: base64 with white space around it; an empty file means no key. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/errors.ts';
import { parseKeyValue } from '../config/values.ts';

const NO_KEY = new Uint8Array(32);

/** @throws ConfigError that names the file, and never what is in it */
export function readKeyFile(path: string, what: string): Uint8Array {
  let text: string;
  try {
    // not by its name: that cannot be opened where it is a socket
    text = readFileSync(path === '/dev/stdin' ? 0 : path, 'utf8').trim();
  } catch (error) {
    throw new ConfigError('bad-value', `${what}: ${(error as Error).message}`, { file: path });
  }
  if (text === '') return NO_KEY;
  try {
    return parseKeyValue(text, what, true);
  } catch (error) {
    throw error instanceof ConfigError ? error.at({ file: path }) : error;
  }
}
