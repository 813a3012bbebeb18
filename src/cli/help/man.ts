/** Generates the man pages in mdoc(7) format from the models of the commands. */
import type { CommandModel, Entry, OptionModel } from './model.ts';
import { COMMAND_NAMES, commandModel } from './models.ts';
import { programOf } from './render.ts';
import { wireguardTs } from './texts/wireguard-ts.ts';
import { wrap } from './wrap.ts';

/** Commands that have a page of their own. */
const OWN_PAGES = ['calico', 'calico install', 'calico uninstall', 'verify'];
/** Less than 80, because escapes make the source lines longer. */
const COLUMNS = 66;
const WGTS_SUMMARY = 'configure WireGuard interfaces of the kernel and of userspace';
const WGTS_DESCRIPTION = [
  'wgts does what wg(8) and wg-quick(8) do, with the same command lines and files, for WireGuard interfaces of the kernel and of userspace programs such as wireguard-ts(8). It also runs WireGuard on the nodes of a Calico cluster. Without a command it shows all interfaces.',
  'wgts help COMMAND and wgts COMMAND --help show the help of a command. wgts --version prints the version; with --verbose, it also describes the build.',
];
const WGTS_STATUS: readonly Entry[] = [
  ['0', 'The command succeeded.'],
  ['1', 'The command failed. The commands that wg also has exit with 1 for a wrong command line, too.'],
  ['2', 'The command line of any other command was wrong; nothing was done.'],
  ['3', 'wgts verify could not check the cluster.'],
  ['130', 'Ctrl-C ended the command. For another signal, the status is 128 plus its number.'],
  ['141', 'The reader of the output closed it (SIGPIPE).'],
];
const DEBUG: Entry = ['WGTS_DEBUG', '"1" prints the stack of an internal error.'];

/**
 * Generates all pages.
 * @param date in mdoc's format, such as November 29, 2026
 * @returns the texts by file name, such as wgts.8
 */
export async function manPages(date: string): Promise<ReadonlyMap<string, string>> {
  const models: CommandModel[] = [];
  for (const name of COMMAND_NAMES) models.push((await commandModel(name))!);
  const pages = new Map<string, string>();
  const add = (name: string, body: readonly string[]): void => {
    const head = [`.Dd ${date}`, `.Dt ${name.toUpperCase()} 8`, '.Os'];
    pages.set(`${name}.8`, `${[...head, ...body].join('\n')}\n`);
  };
  add('wgts', wgtsPage(models));
  for (const model of models) if (isOwnPage(model)) add(pageOf(model), commandPage(model));
  add('wireguard-ts', commandPage(wireguardTs));
  return pages;
}

function wgtsPage(models: readonly CommandModel[]): string[] {
  const own = models.filter(model => !isOwnPage(model));
  const unique = (entries: readonly Entry[]): Entry[] =>
    [...new Map(entries.map(entry => [entry[0], entry])).values()].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...nameSection('wgts', WGTS_SUMMARY),
    '.Sh SYNOPSIS',
    '.Nm',
    '.Op Ar COMMAND Op Ar ARGUMENT ...',
    '.Nm',
    '.Cm help',
    '.Op Ar COMMAND',
    '.Nm',
    '.Fl -version',
    '.Op Fl -verbose',
    '.Sh DESCRIPTION',
    ...paragraphs(WGTS_DESCRIPTION),
    '.Sh COMMANDS',
    ...models.flatMap(model => {
      if (own.includes(model)) return commandSubsection(model);
      return [`.Ss ${literal(programOf(model))}`, `${literal(model.summary)}.`, 'See', `.Xr ${pageOf(model)} 8 .`];
    }),
    ...section('ENVIRONMENT', [...unique(own.flatMap(({ environment = [] }) => environment)), DEBUG], '.It Ev'),
    ...section('FILES', unique(own.flatMap(({ files = [] }) => files)), '.It Pa'),
    ...section('EXIT STATUS', WGTS_STATUS),
    ...seeAlso([
      'wg(8)',
      'wg-quick(8)',
      ...models.filter(isOwnPage).map(model => `${pageOf(model)}(8)`),
      'wireguard-ts(8)',
    ]),
  ];
}

function isOwnPage({ name }: CommandModel): boolean {
  return OWN_PAGES.includes(name);
}

/** Returns the name of a page: a space in the name of a command is a dash. */
function pageOf({ name }: CommandModel): string {
  return name === 'wireguard-ts' ? name : `wgts-${name.replace(' ', '-')}`;
}

/** Generates the page of one command or program. */
function commandPage(model: CommandModel): string[] {
  const { summary, description, environment = [], files = [], exitStatus } = model;
  return [
    ...nameSection(pageOf(model), summary[0]!.toLowerCase() + summary.slice(1)),
    '.Sh SYNOPSIS',
    ...synopsis(model),
    '.Sh DESCRIPTION',
    ...paragraphs(description),
    ...lists(model, '.Pp'),
    ...section('ENVIRONMENT', environment, '.It Ev'),
    ...section('FILES', files, '.It Pa'),
    ...section('EXIT STATUS', exitStatus),
    '.Sh EXAMPLES',
    ...examples(model),
    ...seeAlso(model.seeAlso ?? []),
  ];
}

function commandSubsection(model: CommandModel): string[] {
  return [
    `.Ss ${literal(programOf(model))}`,
    ...synopsis(model),
    '.Pp',
    ...paragraphs([`${model.summary}.`, ...model.description]),
    ...lists(model, '.Pp'),
    '.Pp',
    'Examples:',
    ...examples(model),
  ];
}

/** Formats the synopsis with one form per line, as in the help. */
function synopsis(model: CommandModel): string[] {
  const lines = model.synopsis.map(form => `.Ic ${quoted(`${programOf(model)} ${form}`.trim())}`);
  return lines.flatMap((line, i) => (i === 0 ? [line] : ['.br', line]));
}

function lists({ arguments: names = [], words = [], options = [] }: CommandModel, before: string): string[] {
  return [
    ...(names.length > 0
      ? [
          before,
          'Arguments:',
          ...list(
            names.map(({ name, text }) => [name, text]),
            '.It Ar',
          ),
        ]
      : []),
    ...(words.length > 0 ? [before, 'Settings:', ...optionList(words)] : []),
    ...(options.length > 0 ? [before, 'Options:', ...optionList(options)] : []),
  ];
}

function optionList(options: readonly OptionModel[]): string[] {
  const items = options.flatMap(({ name, short, value, text }) => {
    const term = name.startsWith('--') ? `Fl \\-${literal(name.slice(2))}` : `Cm ${literal(name)}`;
    const first = short === undefined ? '' : `Fl ${literal(short.slice(1))} , `;
    return [`.It ${first}${term}${value ? ` Ar ${literal(value.name)}` : ''}`, ...sentences(text)];
  });
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

function section(title: string, entries: readonly Entry[], item = '.It Li'): string[] {
  return entries.length === 0 ? [] : [`.Sh ${title}`, ...list(entries, item)];
}

function list(entries: readonly Entry[], item: string): string[] {
  const items = entries.flatMap(([term, text]) => [`${item} ${quoted(term)}`, ...sentences(text)]);
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

function examples({ examples: all }: CommandModel): string[] {
  const items = all.flatMap(({ command, text }) => [`.It ${quoted(text)}`, `.Dl ${quoted(command)}`]);
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

function seeAlso(pages: readonly string[]): string[] {
  const found = pages.flatMap(page => [...page.matchAll(/^([a-z-]+)\((\d)\)$/g)].map(([, name, part]) => [name, part]));
  const sorted = found.sort(([a], [b]) => (a! < b! ? -1 : 1));
  const lines = sorted.map(([name, part], i) => `.Xr ${name} ${part}${i < sorted.length - 1 ? ' ,' : ''}`);
  return lines.length === 0 ? [] : ['.Sh SEE ALSO', ...lines];
}

function nameSection(name: string, summary: string): string[] {
  return ['.Sh NAME', `.Nm ${literal(name)}`, `.Nd ${literal(summary)}`];
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text, i) => (i === 0 ? sentences(text) : ['.Pp', ...sentences(text)]));
}

/** Puts each sentence on its own line, as roff requires. */
function sentences(text: string): string[] {
  return text.split(/(?<=[.?!]) /).flatMap(sentence => wrap(sentence, '', '', COLUMNS).map(literal));
}

/** Escapes a text so that roff prints it literally. */
function literal(text: string): string {
  return text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/, '\\&$1')
    .replace(/~/g, '\\(ti');
}

/** Quotes a text as one argument of a macro. */
function quoted(text: string): string {
  return `"${literal(text).replace(/"/g, '\\(dq')}"`;
}
