/**
 * Finds helm for tests: in KUBEBUILDER_ASSETS, in the PATH, or built from its Go modules into a
 * cache folder at first use (some minutes).
 */
import { fileURLToPath } from 'node:url';
import { goProgram } from './kubectl.ts';

/** @throws Error that names what is missing */
export function helmProgram(): Promise<string> {
  return goProgram('helm', fileURLToPath(new URL('./helm/', import.meta.url)));
}
