/**
 * The folder ../shared beside the clone: data of other projects that is not ours to copy
 * (vectors/README.md says what it is and where it comes from). A test that reads it names the need
 * `../shared/vectors` or `../shared/calico` (test/netns/needs.ts), and is skipped without it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** The content that tests read. */
const CONTENT = {
  vectors: ['wycheproof', 'cacophony', 'captures'],
  calico: ['config-params.json', 'crds-v1.yaml', 'crds-v3'],
} as const;

/** Returns the path of a file or folder of test vectors. */
export const sharedVectors = (name: string): string => `${SHARED}vectors/${name}`;

/** Returns the path of a file or folder of Calico's own data, unchanged. */
export const sharedCalico = (name: string): string => `${SHARED}calico/${name}`;

/** Returns whether everything that tests read from a folder is present. */
export function hasShared(folder: keyof typeof CONTENT): boolean {
  return CONTENT[folder].every(name => existsSync(`${SHARED}${folder}/${name}`));
}
