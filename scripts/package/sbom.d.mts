/** @param inventory of inventory.mjs. @param epoch seconds. @returns JSON */
export function sbom(inventory: object, epoch: number): string;
