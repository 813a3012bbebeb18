/** Compares our parser of felix.cfg with Felix's. */
import { expect, test } from 'vitest';
import { parseFelixFile } from '../../../../src/calico/plan/config/felix-file.ts';
import { describeWith } from '../../../netns/needs.ts';
import { askGo } from '../../../support/go-reference.ts';
import { type Random, seeded } from '../../../support/random.ts';

const SEED = Number(process.env['TEST_SEED'] ?? Date.now() >>> 0);
console.log(`TEST_SEED=${SEED}`);
const FILES = Number(process.env['WG_FUZZ_RUNS'] ?? 60_000);

const randomText = (random: Random, parts: readonly string[], most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(parts)).join('');

describeWith(['go'], 'as Go', () => {
  test('felix.cfg', () => {
    const random = seeded(SEED);
    // biome-ignore format: several on a line
    const parts = [
      'a', 'b', 'name', '-', '=', ' = ', ':', ' : ', '\n', '\n', '\n', '\r\n', '\r', '#', ';',
      ' # x', ' ; x', '"', "'", '`', '"""', '\\', '\\\n', ' ', '\t', '\u00a0', '\u0085',
      '\ufeff', '[', ']', '[x]\n', '[y]\n', '[DEFAULT]\n', '[]\n', 'é', '漢', '=\n', 'a = 1\n',
      'b: "q"\n', "name = 'x # y'\n", '\\#', '%(a)s',
    ];
    // biome-ignore format: several on a line
    const fixed = [
      '', '\ufeffa=1', '[global]\nMetadataAddr = 1 # c\n', 'a = "x', 'a = "x" "y"', "a = ''",
      'a = "" # c', 'a = one \\\n  two \\\n\n three', 'a = one \\\n two # c\n',
      'a = `x\ny` # c\nb=1', 'a = """x\ny"""\nb = 1', 'a = """x\ny', 'a = """', 'a = """\n',
      '"a"=1', '"a b" : 1', '`a=b` = 1', '"""a""" = 1', '""=1', '=1', 'a', '[a\nb=1',
      '[x]\na=1\n[y]\na=2\n[x]\na=3', '- = 1\n- = 2', 'a=1\rb=2', 'a = x;y', 'a = "x;y"', 'a=\\',
      'a = \\\n= b', '[a]b]\nc=1', '[a] c=1\nb=2', 'a = \n b',
    ];
    const questions = [...fixed, ...Array.from({ length: FILES }, () => randomText(random, parts, 12))].map(text => ({
      kind: 'ini' as const,
      text,
    }));
    const answers = askGo(questions);
    const mismatches = questions.flatMap(({ text }, i) => {
      const { error, values = {} } = answers[i]!;
      const ours = parseFelixFile(text);
      const [result, theirs] =
        error === undefined
          ? [JSON.stringify([lowered(Object.fromEntries(ours.parameters)), []]), JSON.stringify([lowered(values), []])]
          : [ours.problems.length > 0, true];
      const isBoth = error === undefined && ours.problems.length > 0;
      return result === theirs && !isBoth
        ? []
        : [`${JSON.stringify(text)}: ${result} ${JSON.stringify(ours.problems)}, Go ${theirs} ${error ?? ''}`];
    });
    expect(mismatches).toEqual([]);
    expect(answers.filter(({ error }) => error === undefined).length).toBeGreaterThan(3000);
  });
});

/** Names in lower case: if a name occurs in two letter cases, Felix picks one at random. */
function lowered(values: Readonly<Record<string, string>>): Record<string, string> {
  const named = Object.entries(values).filter(([, value]) => value !== '');
  return Object.fromEntries(named.map(([name, value]) => [name.toLowerCase(), value] as const).sort());
}
