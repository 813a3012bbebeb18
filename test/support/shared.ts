/** Where data of others that comes beside the project, but is not in it, may be found: vectors, and Calico's own definitions. */
import { fileURLToPath } from 'node:url';

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** Without a name: the folder. */
export const sharedVectors = (name: string): string => `${SHARED}vectors/${name}`;

/** A file or folder of Calico's own data, unchanged. */
export const sharedCalico = (name: string): string => `${SHARED}calico/${name}`;
