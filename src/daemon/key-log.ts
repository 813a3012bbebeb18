/**
 * Writes the key log that Wireshark reads (its preference wg.keylog_file): every key of every
 * handshake, in the clear. It is for debugging only, and off unless WG_KEYLOGFILE names a file.
 */
import { closeSync, fchmodSync, fstatSync, openSync, writeSync } from 'node:fs';
import { formatKeyBase64 } from '../base/key.ts';
import type { KeyLog } from '../protocol/device.ts';

/**
 * Opens the file for appending, and makes it readable by its owner only.
 * @throws Error with `code` when it cannot be opened
 */
export function openKeyLog(path: string): { log: KeyLog; close: () => void } {
  const fd = openSync(path, 'a', 0o600);
  // an existing file may be readable by others
  if (fstatSync(fd).isFile()) fchmodSync(fd, 0o600);
  return {
    log: (label, key) => {
      writeSync(fd, `${label} = ${formatKeyBase64(key)}\n`);
    },
    close: () => closeSync(fd),
  };
}

/** The warning for the user who turned the log on. */
export function keyLogWarning(path: string): string {
  return [
    '*****************************************************************************',
    '** WARNING: WG_KEYLOGFILE is set. Private keys, preshared keys and every   **',
    '** session key are being written in the clear. Anyone who reads the file   **',
    '** reads all traffic, past and future. Unset it when you are done.         **',
    '*****************************************************************************',
    `key log: ${path}`,
  ].join('\n');
}
