// What a run of Stryker says, by file, with each mutant that survived.

/** Prints the results of a folder. @returns whether the score was reached */
export function report(folder, results, score) {
  const files = groupBy(results, fileOf);
  const rows = [...files].sort().map(([file, mutants]) => [file, countsOf(mutants)]);
  const all = countsOf(results);
  console.log('\nfile | score | killed | timeout | survived | no test | ignored | not in the sample');
  for (const [name, counts] of [...rows, [folder, all]]) console.log([name, ...Object.values(counts)].join(' | '));
  for (const mutant of results.filter(({ status }) => ['Survived', 'NoCoverage'].includes(status)).sort(byPlace)) {
    const { start } = mutant.location;
    console.log(
      `${fileOf(mutant)}:${start.line}:${start.column} ${mutant.status} ${mutant.mutatorName}: ${mutant.replacement}`,
    );
  }
  console.log(`${folder}: ${all.score} % of ${score} %`);
  return Number(all.score) >= score;
}

const STATUSES = ['Killed', 'Timeout', 'Survived', 'NoCoverage', 'Ignored'];

const fileOf = mutant => mutant.fileName.slice(mutant.fileName.indexOf('src/'));

const byPlace = (a, b) =>
  fileOf(a).localeCompare(fileOf(b)) ||
  a.location.start.line - b.location.start.line ||
  a.location.start.column - b.location.start.column;

/** Returns counts and score. In a sample, only the mutants that no test reaches are all known. */
function countsOf(mutants) {
  const [killed, timeout, survived, noTest, ignored, left] = [...STATUSES, 'RuntimeError'].map(
    status => mutants.filter(mutant => mutant.status === status).length,
  );
  const judged = killed + timeout + survived;
  const reached = judged + left;
  const rate = judged === 0 ? 1 : (killed + timeout) / judged;
  const score = reached + noTest === 0 ? 1 : (rate * reached) / (reached + noTest);
  return { score: (100 * score).toFixed(1), killed, timeout, survived, noTest, ignored, left };
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
