/** Where data that comes with the project, but is not in it, may be found: vectors, and Calico's own definitions. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const shared = (folder: string): string => fileURLToPath(new URL(`../../../shared/${folder}/`, import.meta.url));
const SHARED = shared('vectors');
const CALICO = shared('calico');

export const sharedVectors = (name: string): string => `${SHARED}${name}`;

/** A file or folder of Calico's own data, unchanged. */
export const sharedCalico = (name: string): string => `${CALICO}${name}`;

/** Whether to skip for want of them: on a user's machine yes, in CI never, so that the test fails there. */
export const withoutSharedVectors = !existsSync(SHARED) && process.env['CI'] !== 'true';
export const withoutSharedCalico = !existsSync(CALICO) && process.env['CI'] !== 'true';

export const WHY_SKIPPED = 'needs ../shared/vectors beside the project';
export const WHY_NO_CALICO = 'needs ../shared/calico beside the project';
