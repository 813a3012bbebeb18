/**
 * Where the files of this repository are, for code that also runs as one bundled file: the demo
 * (scripts/demo-kubernetes.mjs) sets the root.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = process.env['WGTS_REPOSITORY'] ?? fileURLToPath(new URL('../../../', import.meta.url));
/** Go modules of Kubernetes' servers, a folder each. */
export const PROGRAM_SOURCES = join(ROOT, 'test/real/programs');
