/** The number behind a system error's code, as errno.h has it. */
import { constants } from 'node:os';

/** Positive; undefined for what is no system error. */
export function systemErrno(error: unknown): number | undefined {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') return undefined;
  return (constants.errno as Readonly<Record<string, number>>)[code];
}
