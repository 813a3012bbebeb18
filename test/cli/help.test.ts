/** The help texts: complete, 80 columns wide, and true to the programs. */
import { describe, expect, test } from 'vitest';
import type { CommandModel } from '../../src/cli/help/model.ts';
import { COMMAND_NAMES, commandModel, WG_COMMANDS } from '../../src/cli/help/models.ts';
import { renderHelp, renderOverview } from '../../src/cli/help/render.ts';
import { wireguardTs } from '../../src/cli/help/texts/wireguard-ts.ts';
import { runProgram } from './run-wgts.ts';

const models: CommandModel[] = [wireguardTs];
for (const name of COMMAND_NAMES) models.push((await commandModel(name))!);
/** Unclear phrases that a help text must not have. */
const UNCLEAR = /\b(who(ever)|(some|no)(body)|is (none|told|said)|(shal)l|of (whom)|(mean)while|as it)\b/i;

test('the overview names every command', async () => {
  const { status, out, err } = runProgram('wgts', ['--help']);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out).toBe(await renderOverview());
  for (const name of COMMAND_NAMES) expect(out).toMatch(new RegExp(`^  ${name} +[A-Z]`, 'm'));
});

describe.each(models.map(model => [model.name, model] as const))('%s', (name, model) => {
  const text = renderHelp(model);

  test('has all parts, in lines of at most 80 printable ASCII characters', () => {
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

  test('mentions only options that exist in synopsis and examples', () => {
    const known = new Set(['--version', '--verbose', '--help', ...(model.options ?? []).map(option => option.name)]);
    const own = model.examples.flatMap(({ command }) => command.split(/[|;]/)).filter(part => part.includes(name));
    for (const option of [...model.synopsis, ...own].join(' ').match(/--[a-z][a-z0-9-]*/g) ?? [])
      expect([...known], option).toContain(option);
    for (const { command } of model.examples) expect(command).toContain(name);
  });

  test('help and --help print it', () => {
    if (name === 'wireguard-ts') {
      expect(runProgram(name, ['--help'])).toEqual({ status: 0, out: text, err: '' });
      return;
    }
    for (const args of [
      ['help', ...name.split(' ')],
      [...name.split(' '), '--help'],
      [...name.split(' '), '-h'],
    ])
      expect(runProgram('wgts', args), args.join(' ')).toEqual({ status: 0, out: text, err: '' });
  });

  test('--version prints the version', () => {
    const args = name === 'wireguard-ts' ? ['--version'] : [...name.split(' '), '--version'];
    const { status, out, err } = runProgram(name === 'wireguard-ts' ? name : 'wgts', args);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^wireguard-ts v[0-9]+\.[0-9]+\.[0-9]+\S*\n$/);
  });
});

test('--version --verbose reports the commit, node, system and addon', () => {
  for (const [program, args] of [
    ['wgts', ['--version', '--verbose']],
    ['wireguard-ts', ['--version', '--verbose']],
  ] as const) {
    const { status, out } = runProgram(program, args);
    expect(status).toBe(0);
    expect(out).toMatch(/^wireguard-ts v.*\ncommit +\w+\nnode +v[0-9.]+, OpenSSL .*\nsystem +Linux .*\naddon +\S+/);
  }
});

test('--help works anywhere in a command line of our own commands', () => {
  for (const args of [
    ['up', 'wg0', '--help'],
    ['calico', '--once', '-h'],
    ['up', '--bogus', '--help'],
  ])
    expect(runProgram('wgts', args)).toMatchObject({ status: 0, out: expect.stringMatching(/^Usage: wgts/), err: '' });
});

test('a wrong command line exits with status 1 for wg’s commands and 2 for ours', () => {
  for (const name of COMMAND_NAMES) {
    const { status } = runProgram('wgts', [...name.split(' '), '--bogus', 'b', 'c', 'd']);
    expect(status, name).toBe(WG_COMMANDS.includes(name) ? 1 : 2);
  }
  expect(runProgram('wgts', ['bogus']).status).toBe(2);
});
