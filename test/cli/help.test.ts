/** The help texts: whole, of a width that every terminal has, and true to the programs. */
import { describe, expect, test } from 'vitest';
import type { CommandModel } from '../../src/cli/help/model.ts';
import { COMMAND_NAMES, commandModel, WG_COMMANDS } from '../../src/cli/help/models.ts';
import { renderHelp, renderOverview } from '../../src/cli/help/render.ts';
import { wireguardTs } from '../../src/cli/help/texts/wireguard-ts.ts';
import { runProgram } from './run-wgts.ts';

const models: CommandModel[] = [wireguardTs];
for (const name of COMMAND_NAMES) models.push((await commandModel(name))!);
/** Our German: english.md has the list. */
const UNCLEAR = /\b(whoever|somebody|nobody|is none|is told|is said|shall|of whom|meanwhile|as it)\b/i;

test('the overview names every command', async () => {
  const { status, out, err } = runProgram('wgts', ['--help']);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out).toBe(await renderOverview());
  for (const name of COMMAND_NAMES) expect(out).toMatch(new RegExp(`^  ${name} +[A-Z]`, 'm'));
});

describe.each(models.map(model => [model.name, model] as const))('%s', (name, model) => {
  const text = renderHelp(model);

  test('has all parts, in lines of 80 columns, of printable ASCII', () => {
    expect(text).toMatch(/^Usage: /);
    for (const part of ['Examples:', 'Exit status:']) expect(text).toContain(`\n${part}\n`);
    for (const line of text.split('\n')) {
      expect(line.length, line).toBeLessThanOrEqual(80);
      expect(line).toMatch(/^[ -~]*$/);
    }
    expect(text).not.toMatch(UNCLEAR);
    expect(model.summary.length).toBeLessThanOrEqual(60);
    expect(model.summary).toMatch(/^[A-Z].*[^.]$/);
  });

  test('options of the synopsis and of the examples exist', () => {
    const known = new Set(['--version', '--verbose', '--help', ...(model.options ?? []).map(option => option.name)]);
    const own = model.examples.flatMap(({ command }) => command.split(/[|;]/)).filter(part => part.includes(name));
    for (const option of [...model.synopsis, ...own].join(' ').match(/--[a-z][a-z0-9-]*/g) ?? [])
      expect([...known], option).toContain(option);
    for (const { command } of model.examples) expect(command).toContain(name);
  });

  test('is what help and --help print', () => {
    if (name === 'wireguard-ts') {
      expect(runProgram(name, ['--help'])).toEqual({ status: 0, out: text, err: '' });
      return;
    }
    for (const args of [
      ['help', name],
      [name, '--help'],
      [name, '-h'],
    ])
      expect(runProgram('wgts', args), args.join(' ')).toEqual({ status: 0, out: text, err: '' });
  });

  test('--version', () => {
    const args = name === 'wireguard-ts' ? ['--version'] : [name, '--version'];
    const { status, out, err } = runProgram(name === 'wireguard-ts' ? name : 'wgts', args);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^wireguard-ts v[0-9]+\.[0-9]+\.[0-9]+\S*\n$/);
  });
});

test('--version --verbose says what was built in', () => {
  for (const [program, args] of [
    ['wgts', ['--version', '--verbose']],
    ['wireguard-ts', ['--version', '--verbose']],
  ] as const) {
    const { status, out } = runProgram(program, args);
    expect(status).toBe(0);
    expect(out).toMatch(/^wireguard-ts v.*\ncommit +\w+\nnode +v[0-9.]+, OpenSSL .*\nsystem +Linux .*\naddon +\S+/);
  }
});

test('help wherever it stands in a command line of our own', () => {
  for (const args of [
    ['up', 'wg0', '--help'],
    ['calico', '--once', '-h'],
    ['up', '--bogus', '--help'],
  ])
    expect(runProgram('wgts', args)).toMatchObject({ status: 0, out: expect.stringMatching(/^Usage: wgts/), err: '' });
});

test('the exit status of a wrong command line: 1 for the words of wg, 2 for ours', () => {
  for (const name of COMMAND_NAMES) {
    const { status } = runProgram('wgts', [name, '--bogus', 'b', 'c', 'd']);
    expect(status, name).toBe(WG_COMMANDS.includes(name) ? 1 : 2);
  }
  expect(runProgram('wgts', ['bogus']).status).toBe(2);
});
