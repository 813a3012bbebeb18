export const NATIVE: string;
export const PREBUILT: string;
export const MANIFEST: string;
export interface Manifest {
  readonly compiler: string;
  /** Version of node-api-headers. */
  readonly headers: string;
  readonly targets: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  /** The value of sourcesHash() when the files were compiled. */
  readonly sources: string;
  /** SHA-256 of each file. */
  readonly files: Readonly<Record<string, string>>;
}
export function sources(): string[];
export function sourcesHash(): string;
export function fileHash(path: string): string;
export function headersVersion(): string;
export function readManifest(): Manifest;
