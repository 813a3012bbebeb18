/** Wraps texts at 80 columns. */

const COLUMNS = 80;

/**
 * Breaks a text at its spaces.
 * @param hang the indent of all lines except the first
 * @returns lines without line ends
 */
export function wrap(text: string, indent: string, hang = indent, columns = COLUMNS): string[] {
  const lines: string[] = [];
  let line = indent;
  let empty = true;
  for (const word of words(text)) {
    if (!empty && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = hang;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line].map(each => each.trimEnd());
}

/** Splits a text into words, but keeps a short text in brackets together. */
function words(text: string): string[] {
  return text.match(/\[[^[\]]{1,40}\]\S*|\{[^{}]{1,40}\}\S*|\S+/g) ?? [''];
}

/** Formats terms with their texts next to them. The text of a long term begins on the next line. */
export function table(rows: readonly (readonly [term: string, text: string])[], widest = 18): string[] {
  const fitting = rows.map(([term]) => term.length).filter(length => length <= widest);
  const width = Math.max(4, ...fitting) + 2;
  const hang = ' '.repeat(2 + width);
  return rows.flatMap(([term, text]) => {
    if (term.length > widest) return [`  ${term}`, ...wrap(text, hang)];
    return wrap(text, `  ${term.padEnd(width)}`, hang);
  });
}
