/** An error of ours that programs can tell by its code, as they tell those of the system. */

/** @param code as in errno.h, or of the same form */
export function codedError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
