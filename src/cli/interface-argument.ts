/**
 * Validates the interface argument of a command. Rejects impossible names. If an interface does not
 * exist, the error lists the existing ones.
 */
import type { SystemBackend } from '../backend/system.ts';
import { INTERFACE_NAME_MAX, isInterfaceName } from '../base/interface-name.ts';
import { quote } from '../config/errors.ts';
import { type Terminal, UsageError, useBackend } from './terminal.ts';

const MOST_LISTED = 10;

/** Returns the name. @throws UsageError if it is missing or cannot be an interface name */
export function interfaceArgument(name: string | undefined): string {
  if (name === undefined) throw new UsageError('the argument INTERFACE is missing');
  if (name === '') throw new UsageError('the argument INTERFACE is empty');
  if (name.startsWith('-')) throw new UsageError(`unknown option ${quote(name)}`);
  if (isInterfaceName(name)) return name;
  const bytes = Buffer.byteLength(name);
  throw new UsageError(
    bytes > INTERFACE_NAME_MAX
      ? `${quote(name)} is too long for an interface name: ${bytes} bytes, and Linux allows ${INTERFACE_NAME_MAX}`
      : `${quote(name)} cannot be an interface name: it may not contain a slash, a colon or a space`,
  );
}

/** Returns the error for an argument too many. */
export function unexpected(extra: string, last: string): UsageError {
  return new UsageError(`unexpected argument ${quote(extra)}: nothing may follow ${quote(last)}`);
}

/**
 * Runs an operation on one interface.
 * @throws Error that lists the existing interfaces if this one does not exist
 */
export function useInterface<T>(
  terminal: Terminal,
  name: string,
  use: (backend: SystemBackend) => Promise<T>,
): Promise<T> {
  return useBackend(terminal, async backend => {
    try {
      return await use(backend);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENODEV') throw error;
      const names = await backend.list().catch(() => []);
      throw Object.assign(new Error(`${message}; ${await existing(name, names)}`, { cause: error }), { code });
    }
  });
}

async function existing(name: string, names: readonly string[]): Promise<string> {
  const { nearest } = await import('../base/nearest.ts');
  const meant = nearest(name, names);
  if (meant !== undefined) return `did you mean \`${meant}'?`;
  if (names.length === 0) return 'there are no WireGuard interfaces here';
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '';
  return `WireGuard interfaces here: ${names.slice(0, MOST_LISTED).join(', ')}${more}`;
}
