// The types of kernel-modules.mjs, for tests.
export function modulesFolder(kernel: string): string;
export function modulesInOrder(folder: string, names: readonly string[]): string[];
export function readModule(path: string): Buffer;
