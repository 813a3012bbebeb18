/**
 * Who keeps the host's DNS servers: resolvconf(8) (Debian's, openresolv's or systemd's), told as wg-quick tells it, or else
 * resolvectl(1). Without either an interface with DNS does not come up, for a host whose names go astray in clear text is not what its
 * file says.
 */
import { existsSync, readFileSync } from 'node:fs';
import { problem } from '../quick/problem.ts';
import { findProgram, runProgram } from './program.ts';

const INTERFACE_ORDER = '/etc/resolvconf/interface-order';

export async function setDns(name: string, servers: readonly string[], search: readonly string[]): Promise<void> {
  const resolvconf = findProgram('resolvconf');
  if (resolvconf) {
    const lines = [
      ...servers.map(server => `nameserver ${server}`),
      ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ];
    await runProgram(resolvconf, ['-a', `${namePrefix()}${name}`, '-m', '0', '-x'], { input: `${lines.join('\n')}\n` });
    return;
  }
  const resolvectl = findProgram('resolvectl');
  if (!resolvectl)
    throw problem(
      'EPROGRAM',
      'DNS: neither resolvconf nor resolvectl is here; install one (apt-get install openresolv), or take DNS out of the file',
    );
  if (servers.length > 0) await runProgram(resolvectl, ['dns', name, ...servers]);
  // `~.`: these servers are asked for every name
  await runProgram(resolvectl, ['domain', name, ...search, ...(servers.length > 0 ? ['~.'] : [])]);
}

export async function unsetDns(name: string): Promise<void> {
  const resolvconf = findProgram('resolvconf');
  if (!resolvconf) {
    const resolvectl = findProgram('resolvectl');
    // resolved itself forgets a link that goes
    if (resolvectl && existsSync(`/sys/class/net/${name}`)) await runProgram(resolvectl, ['revert', name]);
    return;
  }
  await runProgram(resolvconf, ['-d', `${namePrefix()}${name}`, '-f']);
}

/** Debian's resolvconf orders by names: where it knows tunnels by a prefix, the name has that. */
function namePrefix(): string {
  let order: string;
  try {
    order = readFileSync(INTERFACE_ORDER, 'utf8');
  } catch {
    return '';
  }
  const pattern = order.split('\n').find(line => /^(tun|wg|tap)[A-Za-z0-9-]*\*$/.test(line.trim()));
  return pattern === undefined ? '' : `${pattern.trim().slice(0, -1)}.`;
}
