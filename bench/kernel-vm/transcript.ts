/** How results come out of the machine: one line among those of its console. */
import type { Results } from '../results.ts';

const MARK = 'kernel-vm results: ';

export function formatResults(results: Results): string {
  return `${MARK}${JSON.stringify(results)}`;
}

/** @returns undefined of every other line. @throws Error when the line is not whole */
export function parseResults(line: string): Results | undefined {
  if (!line.startsWith(MARK)) return undefined;
  try {
    return JSON.parse(line.slice(MARK.length)) as Results;
  } catch (error) {
    throw new Error(`the results came out of the machine damaged: ${(error as Error).message}`);
  }
}
