/**
 * The secret in the key folder that a request to step down must carry. The leader makes it. Agents
 * that may follow each other have the same key folder, and only its owner can read it.
 */
import { randomBytes } from 'node:crypto';
import type { StateDirectory } from '../../apply/state/state-directory.ts';

export interface TokenFile {
  /** The name of the file, for messages. */
  readonly name: string;
  /** @returns the token; undefined without a valid one. @throws Error that names the path */
  read(): string | undefined;
  /** Makes a token if it is missing. Only the leader does so. @throws Error that names the path */
  ensure(): void;
}

export const TOKEN_FILE = 'leadership.token';
const TOKEN_BYTES = 32;
const TOKEN = /^[0-9a-f]{64}$/;

export function stepDownToken(folder: Pick<StateDirectory, 'read' | 'write'>): TokenFile {
  const read = (): string | undefined => {
    const bytes = folder.read(TOKEN_FILE);
    const text = bytes && Buffer.from(bytes).toString('latin1').trim();
    return text !== undefined && TOKEN.test(text) ? text : undefined;
  };
  return {
    name: TOKEN_FILE,
    read,
    ensure() {
      if (read() === undefined) folder.write(TOKEN_FILE, Buffer.from(`${randomBytes(TOKEN_BYTES).toString('hex')}\n`));
    },
  };
}

/** For a process that neither leads nor asks. */
export const NO_TOKEN: TokenFile = { name: TOKEN_FILE, read: () => undefined, ensure: () => {} };
