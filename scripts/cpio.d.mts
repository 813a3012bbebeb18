// The types of cpio.mjs, for tests.
export interface CpioFile {
  readonly name: string;
  readonly mode: number;
  readonly data?: string | Uint8Array;
}
export function cpio(files: readonly CpioFile[]): Buffer;
