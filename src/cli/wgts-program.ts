/** `wgts`: what `wg` and wg-quick do, for devices of the kernel and of userspace, with the same words. */
import { getSystemErrorMap } from 'node:util';
import { ConfigError } from '../config/errors.ts';
import { version } from '../daemon/version.ts';
import { type Command, processTerminal, UsageError } from './terminal.ts';

/** Each loads what it needs, and no more: a short command is mostly loading. */
const COMMANDS: Readonly<Record<string, readonly [load: () => Promise<Command>, text: string]>> = {
  show: [
    async () => (await import('./commands/show.ts')).show,
    'Shows the current configuration and device information',
  ],
  showconf: [
    async () => (await import('./commands/conf.ts')).showconf,
    "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
  ],
  set: [
    async () => (await import('./commands/set.ts')).set,
    'Change the current configuration, add peers, remove peers, or change peers',
  ],
  setconf: [
    async () => (await import('./commands/conf.ts')).setconf,
    'Applies a configuration file to a WireGuard interface',
  ],
  addconf: [
    async () => (await import('./commands/conf.ts')).addconf,
    'Appends a configuration file to a WireGuard interface',
  ],
  syncconf: [
    async () => (await import('./commands/conf.ts')).syncconf,
    'Synchronizes a configuration file to a WireGuard interface',
  ],
  up: [
    async () => (await import('./commands/quick.ts')).up,
    'Makes an interface from a file in the format of wg-quick, with its addresses, routes and DNS',
  ],
  down: [async () => (await import('./commands/quick.ts')).down, 'Takes away all that up made, also after a crash'],
  save: [async () => (await import('./commands/quick.ts')).save, 'Writes what the interface is now into its file'],
  strip: [
    async () => (await import('./commands/quick.ts')).strip,
    "Prints a file without what is wg-quick's, for use with `setconf'",
  ],
  genkey: [
    async () => (await import('./commands/keys.ts')).genkey,
    'Generates a new private key and writes it to stdout',
  ],
  genpsk: [
    async () => (await import('./commands/keys.ts')).genpsk,
    'Generates a new preshared key and writes it to stdout',
  ],
  pubkey: [
    async () => (await import('./commands/keys.ts')).pubkey,
    'Reads a private key from stdin and writes a public key to stdout',
  ],
  calico: [
    async () => (await import('./commands/calico.ts')).calico,
    "Keeps this node a member of a Calico cluster's WireGuard",
  ],
  verify: [
    async () => (await import('./commands/verify.ts')).verify,
    'Tells which nodes of a Calico cluster are encrypted with which',
  ],
  doctor: [
    async () => (await import('./commands/doctor.ts')).doctor,
    'Tells what this machine gives a tunnel, and what would make it faster',
  ],
};

const USAGE = `Usage: wgts <cmd> [<args>]

Available subcommands:
${Object.entries(COMMANDS)
  .map(([name, [, text]]) => `  ${name}: ${text}\n`)
  .join('')}You may pass \`--help' to any of these subcommands to view usage.
`;

export async function main(): Promise<void> {
  process.exitCode = await run(process.argv.slice(2));
}

async function run(args: readonly string[]): Promise<number> {
  const terminal = processTerminal();
  const [name = 'show', ...rest] = args;
  if (name === '-h' || name === '--help' || name === 'help') {
    terminal.out(USAGE);
    return 0;
  }
  if (name === '-v' || name === '--version' || name === 'version') {
    terminal.out(`wireguard-ts v${version()}\n`);
    return 0;
  }
  const load = COMMANDS[name]?.[0];
  if (!load) {
    terminal.err(`Invalid subcommand: \`${name}'\n${USAGE}`);
    return 1;
  }
  const help = rest.length === 1 && (rest[0] === '-h' || rest[0] === '--help' || rest[0] === 'help');
  try {
    const command = await load();
    return await command(help ? ['--help'] : rest, terminal);
  } catch (error) {
    if (error instanceof UsageError) {
      (help ? terminal.out : terminal.err)(`${error.message}\n`);
      return help ? 0 : 1;
    }
    if (!(error instanceof ConfigError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    terminal.err(`wgts: ${describe(error as Error)}\n`);
    return 1;
  }
}

/** A device says no with a number alone. */
function describe(error: Error): string {
  if (!(error instanceof ConfigError) || error.code !== 'refused') return error.message;
  const [code, text] = getSystemErrorMap().get(-error.errno) ?? [];
  return code === undefined ? error.message : `the device refused: ${text} (${code})`;
}
