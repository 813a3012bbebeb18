/**
 * A type without its `readonly`, for an object that is still being built. It has its own file
 * because every folder builds such objects.
 */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
