/** Where the vectors that come with the project, but are not in it, may be found. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHARED = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url));

export const sharedVectors = (name: string): string => `${SHARED}${name}`;

/** Whether to skip for want of them: on a user's machine yes, in CI never, so that the test fails there. */
export const withoutSharedVectors = !existsSync(SHARED) && process.env['CI'] !== 'true';

export const WHY_SKIPPED = 'needs ../shared/vectors beside the project';
