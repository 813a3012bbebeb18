/** `wgts genkey`, `genpsk`, `pubkey`: work as in wg, on standard input and output. */
import { randomFillSync } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { clampPrivateKey, formatKeyBase64 } from '../../base/key.ts';
import { ConfigError, quote } from '../../config/errors.ts';
import { type Command, type Terminal, UsageError } from '../terminal.ts';

export const genkey: Command = (args, terminal) => {
  noArguments(args);
  return printSecret(clampPrivateKey(randomFillSync(new Uint8Array(32))), terminal);
};

export const genpsk: Command = (args, terminal) => {
  noArguments(args);
  return printSecret(randomFillSync(new Uint8Array(32)), terminal);
};

export const pubkey: Command = async (args, terminal) => {
  noArguments(args);
  const { isatty } = await import('node:tty');
  if (isatty(0)) terminal.err('Type or paste a private key, then press Enter and Ctrl-D.\n');
  const text = terminal.input();
  if (/^\s*$/.test(text))
    throw new ConfigError(
      'missing',
      'standard input is empty: give it a private key, as in: wgts pubkey < private.key',
    );
  const { x25519PublicKey } = await import('../../crypto/node/openssl-x25519.ts');
  const { parseKeyText } = await import('../key-file.ts');
  const key = parseKeyText(text, 'the private key on standard input');
  terminal.out(`${formatKeyBase64(x25519PublicKey(key))}\n`);
  key.fill(0);
  return 0;
};

function noArguments([first]: readonly string[]): void {
  if (first === undefined) return;
  const what = first.startsWith('-') ? 'option' : 'argument';
  throw new UsageError(`unexpected ${what} ${quote(first)}: this command takes none`);
}

function printSecret(key: Uint8Array, terminal: Terminal): number {
  if (isWorldAccessibleFile(1))
    terminal.err('Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n');
  terminal.out(`${formatKeyBase64(key)}\n`);
  key.fill(0);
  return 0;
}

function isWorldAccessibleFile(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && (stat.mode & 0o007) !== 0;
  } catch {
    return false;
  }
}
