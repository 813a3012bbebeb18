/**
 * Reads keys from files, as `wg set ... private-key FILE` does. A file contains 44 characters of
 * base64 at the very beginning, then only white space. An empty file, such as /dev/null, means that
 * there is no key.
 */
import { readFileSync } from 'node:fs';
import { KEY_SIZE } from '../base/key.ts';
import { ConfigError } from '../config/errors.ts';
import { parseKeyValue } from '../config/values.ts';
import { readStandardInput } from './standard-input.ts';

/** Reads a key. @throws ConfigError that names the file but never its content */
export function readKeyFile(path: string, what: string): Uint8Array {
  let text: string;
  try {
    // Standard input is read by descriptor: if it is a socket, the path /dev/stdin cannot be
    // opened.
    text = path === '/dev/stdin' ? readStandardInput().toString('latin1') : readFileSync(path, 'latin1');
  } catch (error) {
    throw new ConfigError('bad-value', `${what} cannot be read: ${(error as Error).message}`, { file: path });
  }
  if (text === '') return new Uint8Array(KEY_SIZE);
  try {
    return parseKeyText(text, what);
  } catch (error) {
    throw error instanceof ConfigError ? error.at({ file: path }) : error;
  }
}

/**
 * Parses a key that only white space may follow. @throws ConfigError that does not quote the text
 */
export function parseKeyText(text: string, what: string): Uint8Array {
  return parseKeyValue(text.replace(/[ \t\n\v\f\r]*$/, ''), what, true);
}
