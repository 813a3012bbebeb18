/**
 * Computes the candidates for the word at the cursor of a command line, using the models of the
 * commands.
 */
import type { CommandModel, Completes, OptionModel } from '../help/model.ts';
import { COMMAND_NAMES, commandModel } from '../help/models.ts';

export interface Candidate {
  readonly value: string;
  /** A description that some shells show next to the candidate. */
  readonly text: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Whether names of files or folders may follow. The shell itself completes them. */
  readonly paths?: 'file' | 'folder';
}

/** Looks up candidates that depend on this machine. */
export interface CompletionSources {
  /** Returns the names of WireGuard interfaces. */
  interfaces(): Promise<readonly string[]>;
  /** Returns names for `wgts up`, from the files in /etc/wireguard. */
  configs(): Promise<readonly string[]>;
  /** Returns the public keys of an interface's peers, each with a description. */
  peers(name: string): Promise<readonly Candidate[]>;
}

const NOTHING: Completion = { candidates: [] };
const OTHER_OPTIONS: readonly OptionModel[] = [
  { name: '--help', text: 'Show the help.' },
  { name: '--version', text: 'Show the version.' },
];

/**
 * Completes a command line.
 * @param words the words between `wgts` and the cursor; the last one is being typed and may be
 * empty
 */
export async function completeWgts(words: readonly string[], sources: CompletionSources): Promise<Completion> {
  const [name = '', ...rest] = words;
  if (rest.length === 0) {
    if (name.startsWith('-')) return starting(name, OTHER_OPTIONS.map(candidateOf));
    return starting(name, await commandCandidates());
  }
  const [second = '', ...others] = rest;
  const long = others.length > 0 ? await commandModel(`${name} ${second}`) : undefined;
  if (long) return completeCommand(long, others, sources);
  const model = await commandModel(name);
  if (!model) return NOTHING;
  const found = await completeCommand(model, rest, sources);
  if (others.length > 0 || second.startsWith('-')) return found;
  const seconds = (await allCommands()).flatMap(({ value, text }) => {
    const [first, last] = value.split(' ');
    return first === name && last !== undefined ? [{ value: last, text }] : [];
  });
  return { ...found, candidates: [...found.candidates, ...starting(second, seconds).candidates] };
}

/** Completes the arguments of one command or program. @param words see completeWgts */
export async function completeCommand(
  model: CommandModel,
  words: readonly string[],
  sources: CompletionSources,
): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const { options = [] } = model;
  const positionals: string[] = [];
  const used = new Set<string>();
  let pending: OptionModel | undefined;
  for (const word of words.slice(0, -1)) {
    if (pending) {
      pending = undefined;
      continue;
    }
    const option = word.startsWith('-') ? findOption(options, word.split('=')[0]!) : undefined;
    if (option) {
      used.add(option.name);
      if (option.value && !word.includes('=')) pending = option;
    } else if (!word.startsWith('-') || model.words) positionals.push(word);
  }
  const lookUp = (completes: Completes) => valuesOf(completes, sources, positionals[0]);
  if (pending?.value) return filter(current, await lookUp(pending.value.completes));
  const [name, equals] = [current.split('=')[0]!, current.indexOf('=')];
  const inline = current.startsWith('--') && equals > 0 ? findOption(options, name) : undefined;
  if (inline?.value) {
    const { candidates, ...paths } = await lookUp(inline.value.completes);
    return filter(current, { ...paths, candidates: candidates.map(c => ({ ...c, value: `${name}=${c.value}` })) });
  }
  if (current.startsWith('-')) {
    const left = options.filter(option => !used.has(option.name));
    return starting(current, [...left, ...OTHER_OPTIONS].map(candidateOf));
  }
  if (model.words && positionals.length > 0) return completeSettings(model.words, positionals, current, lookUp);
  const argument = model.arguments?.[positionals.length];
  return argument ? filter(current, withExtra(await lookUp(argument.completes), argument.also)) : NOTHING;
}

/** Completes `wgts set`: settings of the interface, then peers with their settings. */
async function completeSettings(
  known: readonly OptionModel[],
  [, ...before]: readonly string[],
  current: string,
  lookUp: (completes: Completes) => Promise<Completion>,
): Promise<Completion> {
  const start = known.findIndex(({ name }) => name === 'peer');
  let inPeer = false;
  let pending: OptionModel | undefined;
  const used = new Set<string>();
  for (const word of before) {
    if (pending) {
      pending = undefined;
      continue;
    }
    const setting = findOption(known, word);
    if (!setting) return NOTHING;
    if (word === 'peer') {
      inPeer = true;
      used.clear();
    }
    used.add(word);
    if (setting.value) pending = setting;
  }
  if (pending?.value) return filter(current, await lookUp(pending.value.completes));
  const here = inPeer ? known.slice(start) : known.slice(0, start + 1);
  return starting(current, here.filter(({ name }) => name === 'peer' || !used.has(name)).map(candidateOf));
}

async function valuesOf(
  completes: Completes,
  sources: CompletionSources,
  interfaceName: string | undefined,
): Promise<Completion> {
  switch (completes) {
    case 'file':
    case 'folder':
      return { candidates: [], paths: completes };
    case 'free':
      return NOTHING;
    case 'interface':
      return { candidates: plain(await sources.interfaces(), 'interface') };
    case 'config':
      return { candidates: plain(await sources.configs(), 'configuration'), paths: 'file' };
    case 'peer':
      return { candidates: interfaceName === undefined ? [] : await sources.peers(interfaceName) };
    case 'command':
      return { candidates: await commandCandidates() };
    default:
      return { candidates: plain(completes, '') };
  }
}

/** Lists the first words of commands. */
async function commandCandidates(): Promise<Candidate[]> {
  return (await allCommands()).filter(({ value }) => !value.includes(' '));
}

async function allCommands(): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const name of COMMAND_NAMES) found.push({ value: name, text: (await commandModel(name))!.summary });
  return found;
}

function findOption(options: readonly OptionModel[], word: string): OptionModel | undefined {
  return options.find(({ name, short }) => name === word || short === word);
}

function candidateOf({ name, text }: OptionModel): Candidate {
  return { value: name, text: text.split(/[.:;] |\.$/)[0]! };
}

function plain(values: readonly string[], text: string): Candidate[] {
  return values.map(value => ({ value, text }));
}

function withExtra(found: Completion, also: readonly string[] = []): Completion {
  return { ...found, candidates: [...found.candidates, ...plain(also, '')] };
}

function starting(current: string, candidates: readonly Candidate[]): Completion {
  return filter(current, { candidates });
}

function filter(current: string, { candidates, ...paths }: Completion): Completion {
  return { ...paths, candidates: candidates.filter(({ value }) => value.startsWith(current)) };
}
