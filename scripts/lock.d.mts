// The types of lock.mjs, for tests.
export function lock(folder: string): Promise<() => Promise<void> | void>;
