/** Renders the help for a terminal from the models of the commands. */
import type { CommandModel, OptionModel } from './model.ts';
import { commandModel, GROUPS } from './models.ts';
import { table, wrap } from './wrap.ts';

/** Renders the help of one command. */
export function renderHelp(model: CommandModel): string {
  const { synopsis, description, examples, exitStatus } = model;
  const program = programOf(model);
  const usage = synopsis.flatMap((form, i) => {
    const start = `${i === 0 ? 'Usage:' : '      '} ${program} `;
    return wrap(form, start, ' '.repeat(Math.min(start.length, 20)));
  });
  const options = model.options?.map((option): [string, string] => [optionTerm(option), option.text]) ?? [];
  const blocks = [
    usage,
    ...description.map(text => wrap(text, '')),
    section('Arguments', model.arguments?.map(({ name, text }) => [name, text]) ?? []),
    section('Settings', model.words?.map(word => [optionTerm(word), word.text]) ?? [], 18),
    section('Options', options, 22),
    ['Examples:', ...examples.flatMap(({ command, text }) => [...wrap(text, '  # '), `  ${command}`])],
    section('Exit status', exitStatus),
    section('Environment', model.environment ?? []),
    section('Files', model.files ?? []),
    model.seeAlso ? wrap(model.seeAlso.join(', '), 'See also: ', '          ') : [],
  ];
  return blocks
    .filter(lines => lines.length > 0)
    .map(lines => `${lines.join('\n')}\n`)
    .join('\n');
}

/** Renders the overview of `wgts --help`. */
export async function renderOverview(): Promise<string> {
  const blocks: string[][] = [
    ['Usage: wgts [COMMAND [ARGUMENT]...]', '       wgts help [COMMAND]', '       wgts --version [--verbose]'],
    wrap(
      'Has the commands of wg and wg-quick and reads the same files. Works on WireGuard interfaces of the kernel and of userspace programs. Also runs WireGuard on the nodes of a Calico cluster. Without COMMAND it shows all interfaces.',
      '',
    ),
  ];
  for (const [title, group] of Object.entries(GROUPS)) {
    const rows: [string, string][] = [];
    for (const name of Object.keys(group)) rows.push([name.padEnd(10), (await commandModel(name))!.summary]);
    blocks.push([`${title}:`, ...table(rows)]);
  }
  blocks.push([
    ...wrap('wgts help COMMAND explains a command, with examples; the manual page wgts(8) describes all commands.', ''),
    ...wrap(
      'Exit status: 0 done, 1 failed, 2 wrong command line. The commands that wg also has exit with 1 for a wrong command line.',
      '',
    ),
  ]);
  return blocks.map(lines => `${lines.join('\n')}\n`).join('\n');
}

/** Returns the words that a user types before the arguments. */
export function programOf({ name }: CommandModel): string {
  return name === 'wireguard-ts' ? name : `wgts ${name}`;
}

/** Formats the name of an option, such as `-f, --foreground` or `--backend NAME`. */
function optionTerm({ name, short, value }: OptionModel): string {
  return `${short === undefined ? '' : `${short}, `}${name}${value ? ` ${value.name}` : ''}`;
}

function section(title: string, rows: readonly (readonly [string, string])[], widest?: number): string[] {
  return rows.length === 0 ? [] : [`${title}:`, ...table(rows, widest)];
}
