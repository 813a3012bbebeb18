/**
 * Sets the host's DNS servers with resolvconf(8) from Debian or openresolv, as wg-quick does. If
 * only resolvectl(1) exists, or if resolvconf is systemd's link to it, resolvectl is called
 * directly, because systemd's resolvconf cuts interface names at a dot. Without either program, an
 * interface with DNS does not come up: its file promises that DNS queries do not leave outside the
 * tunnel in clear text.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { problem } from '../quick/problem.ts';
import { findProgram, runProgram } from './program.ts';

/** Locations on this host. */
export interface DnsPlaces {
  /** The PATH to search for the programs. */
  readonly path?: string;
  /**
   * The file in which Debian's resolvconf lists its interface order. Debian's resolvconf sorts by
   * name, so the name gets the prefix that this file lists for tunnels.
   */
  readonly interfaceOrder?: string;
}

type Keeper =
  | { readonly kind: 'resolvconf'; readonly program: string; readonly prefix: string }
  | { readonly kind: 'resolvectl'; readonly program: string };

const INTERFACE_ORDER = '/etc/resolvconf/interface-order';

/**
 * Sets DNS servers and search domains.
 * @throws Error if no program can set them, or if the program fails
 */
export async function setDns(
  name: string,
  servers: readonly string[],
  search: readonly string[],
  places?: DnsPlaces,
): Promise<void> {
  const keeper = findKeeper(places);
  if (!keeper)
    throw problem(
      'EPROGRAM',
      'DNS: neither resolvconf nor resolvectl is installed; install one (apt-get install openresolv), or remove DNS from the file',
    );
  // domains without servers must not be exclusive: they would leave no server to ask
  const isExclusive = servers.length > 0;
  if (keeper.kind === 'resolvconf') {
    const lines = servers.map(server => `nameserver ${server}`);
    if (search.length > 0) lines.push(`search ${search.join(' ')}`);
    const args = ['-a', `${keeper.prefix}${name}`, '-m', '0', ...(isExclusive ? ['-x'] : [])];
    return runProgram(keeper.program, args, { input: `${lines.join('\n')}\n` });
  }
  const { program } = keeper;
  if (isExclusive) await runProgram(program, ['dns', name, ...servers]);
  // `~.` sends all queries to these servers, as -x does for resolvconf
  await runProgram(program, ['domain', name, ...search, ...(isExclusive ? ['~.'] : [])]);
  // systemd before 240 lacks this command and needs only the domain
  if (isExclusive) await runProgram(program, ['default-route', name, 'yes']).catch(() => {});
}

/**
 * Removes the DNS servers of an interface. Idempotent.
 * @param isThere whether the interface exists; systemd-resolved itself forgets an interface that is
 * gone
 */
export async function unsetDns(name: string, isThere: boolean, places?: DnsPlaces): Promise<void> {
  const keeper = findKeeper(places);
  if (keeper?.kind === 'resolvconf') await runProgram(keeper.program, ['-d', `${keeper.prefix}${name}`, '-f']);
  else if (keeper && isThere) await runProgram(keeper.program, ['revert', name]);
}

function findKeeper({ path, interfaceOrder = INTERFACE_ORDER }: DnsPlaces = {}): Keeper | undefined {
  const resolvconf = findProgram('resolvconf', path);
  if (resolvconf !== undefined) {
    const resolvectl = linksOf(resolvconf).find(path => basename(path) === 'resolvectl');
    if (resolvectl !== undefined) return { kind: 'resolvectl', program: resolvectl };
    // as in wg-quick, a symbolic link is not Debian's resolvconf, even if Debian's files remain
    const prefix = lstatSync(resolvconf).isSymbolicLink() ? '' : namePrefix(interfaceOrder);
    return { kind: 'resolvconf', program: resolvconf, prefix };
  }
  const program = findProgram('resolvectl', path);
  return program === undefined ? undefined : { kind: 'resolvectl', program };
}

/** Returns every step of a chain of symbolic links, because resolvectl may itself be a link. */
function linksOf(path: string): string[] {
  const all: string[] = [];
  for (let next = path; !all.includes(next); ) {
    all.push(next);
    if (lstatSync(next).isSymbolicLink()) next = resolve(dirname(next), readlinkSync(next));
  }
  return all;
}

/** Returns the prefix of the first pattern of the form `name*` in the file, followed by a dot. */
function namePrefix(file: string): string {
  let order: string;
  try {
    order = readFileSync(file, 'utf8');
  } catch {
    return '';
  }
  const found = order.split('\n').find(line => /^[A-Za-z0-9-]+\*$/.test(line.trim()));
  return found === undefined ? '' : `${found.trim().slice(0, -1)}.`;
}
