/**
 * Reads a configuration file. If the file cannot be read, the error lists existing files or names
 * the missing permission.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { INTERFACE_NAME_MAX } from '../base/interface-name.ts';
import { nearest } from '../base/nearest.ts';
import { ConfigError, quote } from '../config/errors.ts';
import { readSecretFile } from './secret-file.ts';

export const CONFIG_FOLDER = '/etc/wireguard';
const SUFFIX = '.conf';
const OTHERS = 0o007;
/** The largest file; 100,000 peers take 15 MB. */
const LARGEST_FILE = 64 << 20;
const MOST_LISTED = 10;

/** Reads a configuration file. @returns bytes that the caller erases. @throws ConfigError */
export function readConfigFile(path: string, warn: (message: string) => void): Uint8Array {
  try {
    const bytes = readSecretFile(path, LARGEST_FILE);
    if (statSync(path).mode & OTHERS)
      warn(`${quote(resolve(path))} is world accessible and has a private key: chmod 600 it`);
    return bytes;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError('missing', `${quote(path)} ${reason(error as NodeJS.ErrnoException, path)}`);
  }
}

/** Returns the error for a name that no interface can have; undefined for a valid name. */
export function nameProblem(name: string): ConfigError | undefined {
  if (name.length <= INTERFACE_NAME_MAX || !/^[A-Za-z0-9_=+.-]+$/.test(name)) return undefined;
  return new ConfigError(
    'bad-value',
    `${quote(name)} is too long for an interface: it has ${name.length} characters, and Linux allows ${INTERFACE_NAME_MAX}`,
    { value: name },
  );
}

function reason({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case 'ENOENT':
      return `does not exist${suggestion(path)}`;
    case 'ENOTDIR':
      return 'does not exist: a part of its path is a file, not a folder';
    case 'EISDIR':
      return `is a folder: give a file in it, such as ${join(path, `wg0${SUFFIX}`)}`;
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user: run this as root (sudo)';
    case 'ELOOP':
      return 'is a symbolic link that leads to itself';
    case 'ENXIO':
    case 'ENODEV':
      return 'is not a regular file';
    default:
      return `cannot be read: ${message}`;
  }
}

function suggestion(path: string): string {
  const folder = dirname(path);
  const names = confNames(folder);
  if (names === undefined)
    return folder === CONFIG_FOLDER ? `; nor does ${CONFIG_FOLDER} (or this user may not see it)` : '';
  const isDefault = folder === CONFIG_FOLDER;
  const meant = nearest(basename(path, SUFFIX), names);
  const question =
    meant === undefined ? '' : `; did you mean ${quote(isDefault ? meant : join(folder, `${meant}${SUFFIX}`))}?`;
  if (!isDefault) return question;
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '';
  const shown = names.slice(0, MOST_LISTED).map(quote).join(', ');
  return `${question}${question ? '' : ';'} ${names.length === 0 ? `there is no file in ${CONFIG_FOLDER}` : `${CONFIG_FOLDER} has ${shown}${more}`}`;
}

function confNames(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith(SUFFIX))
      .map(name => basename(name, SUFFIX))
      .sort();
  } catch {
    return undefined;
  }
}
