/** Passes results out of the machine as one line of its console output. */
import type { Results } from '../results.ts';

const MARK = 'kernel-vm results: ';

export function formatResults(results: Results): string {
  return `${MARK}${JSON.stringify(results)}`;
}

/** @returns undefined if the line holds no results. @throws Error if the results are incomplete */
export function parseResults(line: string): Results | undefined {
  if (!line.startsWith(MARK)) return undefined;
  try {
    return JSON.parse(line.slice(MARK.length)) as Results;
  } catch (error) {
    throw new Error(`the results on the machine's console are damaged: ${(error as Error).message}`);
  }
}
