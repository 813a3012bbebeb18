/**
 * `wgts`: the commands of wg and wg-quick, with the same names and arguments, and our own commands.
 * They work with kernel and userspace devices.
 */
import { quote } from '../config/errors.ts';
import { type Command, processTerminal, type Terminal, UsageError } from './terminal.ts';

/** Loads each command on demand, because loading takes most of the run time of a short command. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  show: async () => (await import('./commands/show.ts')).show,
  showconf: async () => (await import('./commands/conf.ts')).showconf,
  set: async () => (await import('./commands/set.ts')).set,
  setconf: async () => (await import('./commands/conf.ts')).setconf,
  addconf: async () => (await import('./commands/conf.ts')).addconf,
  syncconf: async () => (await import('./commands/conf.ts')).syncconf,
  genkey: async () => (await import('./commands/keys.ts')).genkey,
  genpsk: async () => (await import('./commands/keys.ts')).genpsk,
  pubkey: async () => (await import('./commands/keys.ts')).pubkey,
  up: async () => (await import('./commands/quick.ts')).up,
  down: async () => (await import('./commands/quick.ts')).down,
  reload: async () => (await import('./commands/quick.ts')).reload,
  save: async () => (await import('./commands/quick.ts')).save,
  strip: async () => (await import('./commands/quick.ts')).strip,
  upgrade: async () => (await import('./commands/upgrade.ts')).upgrade,
  logs: async () => (await import('./commands/logs.ts')).logs,
  calico: async () => (await import('./commands/calico.ts')).calico,
  'calico install': async () => (await import('./commands/calico-install.ts')).calicoInstall,
  'calico uninstall': async () => (await import('./commands/calico-uninstall.ts')).calicoUninstall,
  verify: async () => (await import('./commands/verify.ts')).verify,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  completion: async () => (await import('./commands/completion.ts')).completion,
  help: async () => (await import('./commands/help.ts')).help,
  __complete: async () => (await import('./commands/complete.ts')).complete,
};

const HELP_WORDS: readonly (string | undefined)[] = ['-h', '--help', 'help'];
const VERSION_WORDS: readonly (string | undefined)[] = ['-v', '--version', 'version'];
/**
 * Exit statuses of a wrong command line: wg's status for the commands that wg also has, 2 for all
 * others.
 */
const [WG_USAGE_STATUS, USAGE_STATUS] = [1, 2];

export async function main(): Promise<void> {
  const terminal = processTerminal();
  process.on('uncaughtException', error => {
    report(error, terminal, 'wgts').finally(() => process.exit(1));
  });
  process.exitCode = await run(process.argv.slice(2), terminal);
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const [given = 'show', ...rest] = args;
  const [name, words] = await dispatch(given, rest);
  const program = name === undefined || name === 'version' ? 'wgts' : `wgts ${name}`;
  try {
    if (name === undefined) throw await unknownCommand(given);
    if (name === 'version') return (await import('./commands/version.ts')).version(words, terminal);
    const command = await COMMANDS[name]!();
    return await command(words, terminal);
  } catch (error) {
    return report(error, terminal, program, name);
  }
}

/**
 * Finds the command. @returns the command and its arguments, or undefined for an unknown command
 */
async function dispatch(word: string, words: readonly string[]): Promise<[string | undefined, readonly string[]]> {
  // Some commands have a name of two words.
  const isLong = words[0] !== undefined && Object.hasOwn(COMMANDS, `${word} ${words[0]}`);
  const [given, rest] = isLong ? [`${word} ${words[0]}`, words.slice(1)] : [word, words];
  if (given !== 'help' && HELP_WORDS.includes(given)) return ['help', rest];
  if (VERSION_WORDS.includes(given)) return ['version', rest];
  if (!Object.hasOwn(COMMANDS, given)) return [undefined, rest];
  if (given.startsWith('__')) return [given, rest];
  // As in wg, such a word requests help only if it is the only argument, because it could be a
  // name.
  if (rest.length === 1 && HELP_WORDS.includes(rest[0])) return ['help', [given]];
  if (rest[0] === '--version') return ['version', rest.slice(1)];
  const end = rest.indexOf('--');
  const options = rest.slice(0, end < 0 ? rest.length : end);
  const asksForHelp = options.includes('--help') || options.includes('-h');
  if (asksForHelp && !(await isWgCommand(given))) return ['help', [given]];
  return [given, rest];
}

async function unknownCommand(given: string): Promise<UsageError> {
  if (given === '') return new UsageError('the command is empty');
  if (given.startsWith('-'))
    return new UsageError(`unknown option ${quote(given)}`, { given, known: ['--help', '--version'] });
  const { COMMAND_NAMES } = await import('./help/models.ts');
  return new UsageError(`there is no command ${quote(given)}`, { given, known: COMMAND_NAMES });
}

async function isWgCommand(name: string): Promise<boolean> {
  return (await import('./help/models.ts')).WG_COMMANDS.includes(name);
}

/** Reports an error. @returns the exit status */
async function report(error: unknown, terminal: Terminal, program: string, name?: string): Promise<number> {
  if (error instanceof UsageError) {
    const { usageMessage } = await import('./usage-message.ts');
    const helpCommand = name === undefined || name === 'help' || name === 'version' ? 'wgts help' : `wgts help ${name}`;
    terminal.err(usageMessage(error, program, helpCommand));
    return name !== undefined && (await isWgCommand(name)) ? WG_USAGE_STATUS : USAGE_STATUS;
  }
  const { bugMessage, failureMessage, isExpected } = await import('./failure.ts');
  if (isExpected(error)) terminal.err(`wgts: ${failureMessage(error, program)}\n`);
  else terminal.err(bugMessage(error, 'wgts', terminal.env['WGTS_DEBUG'] === '1'));
  return error instanceof Error && 'exitStatus' in error ? Number(error.exitStatus) : 1;
}
