/** Compares our parsers of numbers and durations with Go's. */
import { expect, test } from 'vitest';
import { goDuration, goFloat, goInteger, goUnsigned } from '../../../src/calico/model/go-text.ts';
import { describeWith } from '../../netns/needs.ts';
import { askGo, type GoQuestion } from '../../support/go-reference.ts';
import { type Random, seeded } from '../../support/random.ts';

const SEED = Number(process.env['TEST_SEED'] ?? Date.now() >>> 0);
console.log(`TEST_SEED=${SEED}`);

const randomText = (random: Random, parts: readonly string[], most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(parts)).join('');

describeWith(['go'], 'as Go', () => {
  test('numbers and durations', () => {
    const random = seeded(SEED);
    // biome-ignore format: several on a line
    const number = [
      '0', '1', '7', '8', '9', '10', '00', 'f', 'x', '0x', '0X', '0b', '0o', 'o', '_', '-', '+',
      '.', 'e', 'E', 'p', 'P', 'inf', 'nan', 'Infinity', '4294967295', '9223372036854775807',
      ' ', '１',
    ];
    // biome-ignore format: several on a line
    const duration = [
      '0', '1', '5', '30', '.', '-', '+', 'h', 'm', 's', 'ms', 'us', 'µs', 'μs', 'ns', 'd', ' ',
      'e3', '2562047h', '9223372036', '.3333333333', '.9223372036854775809',
    ];
    // biome-ignore format: several on a line
    const fixed = [
      '', '0', '-0', '+0', '0x', '017', '08', '0o17', '1_000', '1__0', '_1', '1_', '0x_1', '0_7',
      '1e3', '1.5', '.5', '5.', '.', '1e400', '1e-400', '0x1p4', '0x1.8p-1', '0x.8p1', '0x10',
      '1h5m', '-1.5h', '0.3333333333333333333h', '0.9223372036854775808h', '0.9223372036854775809h', '9223372036854775808', '-9223372036854775808', '4294967296',
    ];
    const questions: GoQuestion[] = [];
    for (const kind of ['int', 'uint', 'float', 'duration'] as const) {
      questions.push(...fixed.map(text => ({ kind, text })));
      for (let i = 0; i < 20_000; i++)
        questions.push({ kind, text: randomText(random, kind === 'duration' ? duration : number, 5) });
    }
    const ours = ({ kind, text }: GoQuestion): string => {
      if (kind === 'float') return numberText(goFloat(text));
      const value = kind === 'int' ? goInteger(text) : kind === 'uint' ? goUnsigned(text, 32) : goDuration(text);
      return String(value);
    };
    const answers = askGo(questions);
    const mismatches = questions.flatMap((question, i) => {
      const { error, value } = answers[i]!;
      const theirs =
        error !== undefined
          ? 'undefined'
          : question.kind === 'float'
            ? numberText(Number(value!.replace('Inf', 'Infinity')))
            : value!;
      return ours(question) === theirs
        ? []
        : [`${question.kind} ${JSON.stringify(question.text)}: ${ours(question)}, Go ${theirs}`];
    });
    expect(mismatches).toEqual([]);
    expect(answers.filter(({ error }) => error === undefined).length).toBeGreaterThan(5000);
  });
});

function numberText(value: number | undefined): string {
  return Object.is(value, -0) ? '0' : String(value);
}
