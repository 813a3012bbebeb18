/**
 * The root of this repository, for code that also runs as one bundled file: the demo of a real
 * cluster names it in WGTS_REPOSITORY.
 */
import { fileURLToPath } from 'node:url';

export const ROOT = process.env['WGTS_REPOSITORY'] ?? fileURLToPath(new URL('../../', import.meta.url));
