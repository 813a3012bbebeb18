/**
 * Who keeps the host's DNS servers. As wg-quick: resolvconf(8), Debian's or openresolv's. Where that is no more than systemd's own link
 * to resolvectl(1), and where there is only resolvectl, systemd-resolved is spoken to itself: its resolvconf cuts names of interfaces
 * at a dot. Without either an interface with DNS does not come up, for a host whose names go astray in clear text is not what its file
 * says.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { problem } from '../quick/problem.ts';
import { findProgram, runProgram } from './program.ts';

/** Where things are on this host. */
export interface DnsPlaces {
  /** The PATH to search for the programs. */
  readonly path?: string;
  /** Debian's resolvconf orders by names: where it knows tunnels by a prefix, the name has that. */
  readonly interfaceOrder?: string;
}

type Keeper =
  | { readonly kind: 'resolvconf'; readonly program: string; readonly prefix: string }
  | { readonly kind: 'resolvectl'; readonly program: string };

const INTERFACE_ORDER = '/etc/resolvconf/interface-order';

/** @throws Error if nothing here keeps DNS servers, or it fails */
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
      'DNS: neither resolvconf nor resolvectl is here; install one (apt-get install openresolv), or take DNS out of the file',
    );
  // domains alone must not take the other servers' names from them: there would be nothing to ask
  const isExclusive = servers.length > 0;
  if (keeper.kind === 'resolvconf') {
    const lines = servers.map(server => `nameserver ${server}`);
    if (search.length > 0) lines.push(`search ${search.join(' ')}`);
    const args = ['-a', `${keeper.prefix}${name}`, '-m', '0', ...(isExclusive ? ['-x'] : [])];
    return runProgram(keeper.program, args, { input: `${lines.join('\n')}\n` });
  }
  const { program } = keeper;
  if (isExclusive) await runProgram(program, ['dns', name, ...servers]);
  // `~.`: these servers are asked for every name, which is what -x is to the other
  await runProgram(program, ['domain', name, ...search, ...(isExclusive ? ['~.'] : [])]);
  // systemd before 240 has no such word, and the domain alone does there
  if (isExclusive) await runProgram(program, ['default-route', name, 'yes']).catch(() => {});
}

/**
 * Idempotent.
 * @param isThere whether there is an interface of that name: systemd-resolved itself forgets one that goes
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
    // a link is not Debian's, as wg-quick has it, whatever that left behind
    const prefix = lstatSync(resolvconf).isSymbolicLink() ? '' : namePrefix(interfaceOrder);
    return { kind: 'resolvconf', program: resolvconf, prefix };
  }
  const program = findProgram('resolvectl', path);
  return program === undefined ? undefined : { kind: 'resolvectl', program };
}

/** Where a link leads, by each link on the way: resolvectl itself may be one. */
function linksOf(path: string): string[] {
  const all: string[] = [];
  for (let next = path; !all.includes(next); ) {
    all.push(next);
    if (lstatSync(next).isSymbolicLink()) next = resolve(dirname(next), readlinkSync(next));
  }
  return all;
}

/** The first pattern of the file that is a name and a star, with a dot for the star. */
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
