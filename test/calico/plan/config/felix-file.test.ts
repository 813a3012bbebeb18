/**
 * The rules of felix.cfg, one by one (github.com/go-ini/ini 1.67). go-ini.test.ts compares random
 * files with the Go parser itself.
 */
import { describe, expect, test } from 'vitest';
import { parseFelixFile } from '../../../../src/calico/plan/config/felix-file.ts';

const parametersOf = (text: string) => Object.fromEntries(parseFelixFile(text).parameters);
const problemsOf = (text: string) => parseFelixFile(text).problems.map(({ message }) => message);

describe('a line of felix.cfg', () => {
  test.each<[string, Record<string, string>]>([
    ['', {}],
    ['A = 1', { a: '1' }],
    ['A=1\n', { a: '1' }],
    ['A : 1\r\n', { a: '1' }],
    ['\ufeffA = 1', { a: '1' }],
    ['\u2003A\u00a0=\u30001\u0085', { a: '1' }],
    ['A = b:c', { a: 'b:c' }],
    ['A : b=c', { a: 'b=c' }],
    ['A =', { a: '' }],
    ['# A = 1\n; B = 2\n  # C = 3', {}],
    ['A = 1 # one\nB = 2;two', { a: '1', b: '2' }],
    ['A = "x # y"', { a: '"x' }],
    ['A = \'x\'\nB = "y"', { a: 'x', b: 'y' }],
    ['A = "x"y"\nB = \'x"\nC = x"y"\nD = "x"y', { a: '"x"y"', b: '\'x"', c: 'x"y"', d: '"x"y' }],
    ['A = "it\'s"', { a: "it's" }],
  ])('%j is read', (text, expected) => {
    expect([parametersOf(text), problemsOf(text)]).toEqual([expected, []]);
  });

  test.each<[string, Record<string, string>]>([
    ['A = x\\\ny', { a: 'xy' }],
    ['A = x\\\n  y\\\nz\nB = 1', { a: 'xyz', b: '1' }],
    ['A = x\\\ny # not a comment', { a: 'xy # not a comment' }],
    ['A = x\\\n\ny = 2', { a: 'x', y: '2' }],
    ['A = x\\', { a: 'x' }],
    ['A = x\\\n"y"', { a: 'x"y"' }],
  ])('%j continues', (text, expected) => {
    expect([parametersOf(text), problemsOf(text)]).toEqual([expected, []]);
  });

  test.each<[string, Record<string, string>]>([
    ['A = """x # y"""', { a: 'x # y' }],
    ['A = """x\ny = 2\n"""\nB = 1', { a: 'x\ny = 2\n', b: '1' }],
    ['A = `x\n\\`y` z\nB = 1', { a: 'x\n\\`y', b: '1' }],
    ['A = `x` # `y` z', { a: 'x` # `y' }],
    ['A = """', { a: '"""' }],
    ['A = """"""', { a: '' }],
    ['A = ``', { a: '' }],
  ])('%j is verbatim', (text, expected) => {
    expect([parametersOf(text), problemsOf(text)]).toEqual([expected, []]);
  });

  test.each<[string, Record<string, string>]>([
    ['"a=b" = 1', { 'a=b': '1' }],
    ['`a:b` : 2', { 'a:b': '2' }],
    ['"""a"b""" = 3', { 'a"b': '3' }],
    ['"a" b = 4', { a: '4' }],
    ['- = x\n- = y\n[s]\n- = z', { '#1': 'z', '#2': 'y' }],
  ])('%j has its name', (text, expected) => {
    expect([parametersOf(text), problemsOf(text)]).toEqual([expected, []]);
  });
});

describe('sections', () => {
  test('that were opened later win, and a header that is repeated opens nothing', () => {
    expect(parametersOf('A = 0\n[s]\nA = 1\n[t]\nA = 2\n[s]\nA = 3\nB = 3')).toEqual({ a: '2', b: '3' });
    expect(parametersOf('[s]\nA = 1\n[DEFAULT]\nA = 2')).toEqual({ a: '1' });
  });

  test('have the name up to the last bracket', () => {
    expect(parametersOf('[a]b]\nA = 1\n[c]\nA = 2\n[a]b] # more\nA = 3')).toEqual({ a: '2' });
  });
});

test('of names that differ in case only, one with a value wins', () => {
  expect(parametersOf('A = 1\na =')).toEqual({ a: '1' });
  expect(parametersOf('a =\nA = 1')).toEqual({ a: '1' });
  expect(parametersOf('A = 1\na = 2')).toEqual({ a: '2' });
});

describe('a line that keeps Felix from starting', () => {
  test.each([
    ['[s', 'a section without its closing ]'],
    ['[]', 'a section without a name'],
    ['words', 'which is not of the form Name = value'],
    ['"A" words', 'which is not of the form Name = value'],
    ['= 1', 'which has no name'],
    ['"" = 1', 'which has no name'],
    ['"A = 1', 'which has no closing "'],
    ['`A = 1', 'which has no closing `'],
    ['"""abc = 1', 'which has no closing """'],
    // six bytes with the end of the line are too few for three quotes, and seven are enough
    ['"""a=', 'which has no name'],
    ['"""é=', 'which has no closing """'],
    ['"""€', 'which has no closing """'],
    ['"""é', 'which is not of the form Name = value'],
    ['A = """x', 'whose """ has no end'],
    ['A = `x', 'whose ` has no end'],
    ['A = """"', 'whose """ has no end'],
  ])('%j is a problem that names it, and the lines after it are read', (line, problem) => {
    const text = `First = 1\n  ${line}\nLast = 2\n`;
    expect(problemsOf(text)).toEqual([
      `line 2 is ${JSON.stringify(line)}, ${problem}; the agent ignores it, but Felix does not start with it: correct the line`,
    ]);
    expect(parametersOf(text)).toEqual({ first: '1', last: '2' });
    expect(parseFelixFile(text).problems[0]).toMatchObject({ object: 'File/felix.cfg', reason: 'InvalidLine' });
  });
});
