/**
 * Returns an error that callers recognize by its code, as they recognize system errors. The
 * function has its own file because every folder throws such errors.
 * @param code a code of errno.h, or one in the same form
 */
export function codedError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
