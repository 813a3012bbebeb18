// The pairs of pods in the Calico demo, and what the network between them saw of each pair.

export const NODES = [1, 2, 3];
export const PAIRS = NODES.flatMap(from => NODES.filter(to => to !== from).map(to => [from, to]));
const CELL = 16;
const HEAD = 12;

/** Returns whether each pair was seen in the expected way, and in no other way. */
export function isAsExpected({ encrypted, clear }, expectEncrypted) {
  return PAIRS.every(([from, to]) => {
    const [sealed, open] = [encrypted[from - 1][to - 1], clear[from - 1][to - 1]];
    return expectEncrypted(from, to) ? sealed > 0 && open === 0 : sealed === 0 && open > 0;
  });
}

/** Formats a matrix with the senders on the left; on a narrow terminal, one line per pair. */
export function table(seen, columns) {
  if (columns < HEAD + NODES.length * CELL)
    return PAIRS.map(([from, to]) => `  pod-${from} to pod-${to}: ${cell(seen, from, to)}`).join('\n');
  const indent = ' '.repeat(columns < 72 ? 2 : 6);
  const head = `${indent}from \\ to ${NODES.map(n => `pod-${n}`.padStart(CELL)).join('')}`;
  const rows = NODES.map(from => {
    const cells = NODES.map(to => (from === to ? '-' : cell(seen, from, to)).padStart(CELL));
    return `${indent}pod-${from}     ${cells.join('')}`;
  });
  return [head, ...rows].join('\n');
}

/**
 * Shortens the output of `wgts verify` for a narrow terminal: drops columns that have the same
 * value in each line.
 */
export function fitLines(lines, columns) {
  if (lines.every(line => line.length <= columns)) return lines;
  const starts = [...lines[0].matchAll(/\S+( \S+)*/g)].map(({ index }) => index);
  return lines.map(line =>
    starts
      .map((start, i) => line.slice(start, starts[i + 1]))
      .filter((_, i) => !/^(FAMILY|BACKEND)/.test(lines[0].slice(starts[i])))
      .join('')
      .trimEnd(),
  );
}

function cell({ encrypted, clear }, from, to) {
  const [sealed, open] = [encrypted[from - 1][to - 1], clear[from - 1][to - 1]];
  const parts = [sealed > 0 ? `${sealed} encrypted` : '', open > 0 ? `${open} CLEAR` : ''].filter(Boolean);
  return parts.join('+') || 'nothing';
}
