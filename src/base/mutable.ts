/** A type without its `readonly`, for an object that is still being built. A file of its own: every folder builds such objects. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
