/** @param inventory the result of inventory(). @param epoch seconds since 1970. @returns JSON */
export function sbom(inventory: object, epoch: number): string;
