/**
 * Returns an error that callers recognize by its code, as they recognize system errors. It has its
 * own file, since every folder throws such errors.
 * @param code as in errno.h, or of the same form
 */
export function codedError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
