/**
 * "Did you mean": finds the known word that a misspelt word most likely stands for. No package is
 * used, because the small ones count two swapped letters (`shwo`) as two mistakes and therefore
 * find nothing for short words.
 */

const LONGEST = 40;

/**
 * Returns the word with the fewest mistakes: a letter that is missing, added, wrong, or swapped
 * with its neighbour. Ignores case. A unique prefix of a word (`--kube`) matches that word.
 * @returns undefined if no word is near enough
 */
export function nearest(given: string, words: readonly string[]): string | undefined {
  const text = given.toLowerCase();
  if (text === '' || text.length > LONGEST) return undefined;
  const beginning = words.filter(word => word.toLowerCase().startsWith(text));
  if (beginning.length === 1 && letters(text) >= 2) return beginning[0];
  let best: string | undefined;
  let fewest = Math.max(1, Math.floor(letters(text) / 3)) + 1;
  for (const word of words) {
    if (letters(word) < 2) continue;
    const found = mistakes(text, word.toLowerCase());
    if (found < fewest && found < letters(word)) [best, fewest] = [word, found];
  }
  return best;
}

/**
 * Counts the letters of a word without its leading dashes, which do not help to tell options apart.
 */
function letters(word: string): number {
  return word.replace(/^-+/, '').length;
}

/** Computes the optimal string alignment distance. */
function mistakes(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let least = Math.min(next[column - 1]! + 1, last[column]! + 1, last[column - 1]! + cost);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) least = Math.min(least, before[column - 2]! + 1);
      next.push(least);
    }
    [before, last] = [last, next];
  }
  return last[b.length]!;
}
