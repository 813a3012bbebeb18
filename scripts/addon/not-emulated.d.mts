export const NOT_EMULATED_FILES: readonly string[];
export const NOT_EMULATED_TESTS: readonly (readonly string[])[];
