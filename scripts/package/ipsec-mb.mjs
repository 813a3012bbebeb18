// libIPSec_MB for x64, which seals packets twice as fast as OpenSSL: Debian 12's, since it wants no more than glibc 2.14.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf, pinnedFile } from './cache.mjs';
import { run } from './node.mjs';

export const IPSEC_MB = { package: 'libipsec-mb1', version: '1.3-2', suite: 'bookworm' };
const FILE = 'usr/lib/x86_64-linux-gnu/libIPSec_MB.so.1.3.0';
const SHA256 = '5f77c936aaff610a575291b5712ad7138f1f96bdc9c3038227aca31213c1f2c2';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Returns its path: this machine's own if it is that one, otherwise out of Debian's package, by apt. */
export async function ipsecMb() {
  if (hashOf(`/${FILE}`) === SHA256) return `/${FILE}`;
  return await pinnedFile({
    name: 'libIPSec_MB.so.1',
    sha256: SHA256,
    fetch(folder) {
      download(folder);
      const deb = readdirSync(folder).find(name => name.endsWith('.deb'));
      run('dpkg-deb', ['-x', deb, 'tree'], folder);
      return join(folder, 'tree', FILE);
    },
  });
}

/** With lists of its own beside the machine's, whose Debian may be another. */
function download(folder) {
  const mirror = run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'], folder)
    .split('\n')
    .find(uri => /\/debian\/?$/.test(uri));
  if (mirror === undefined || !existsSync(KEYRING))
    throw new Error(`${IPSEC_MB.package} ${IPSEC_MB.version} is Debian's: build on Debian, or install that package`);
  const at = name => join(folder, name);
  for (const name of ['lists/partial', 'archives/partial']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING} arch=amd64] ${mirror} ${IPSEC_MB.suite} main\n`);
  writeFileSync(at('status'), '');
  const options = {
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root',
    'Dir::Etc::sourcelist': at('sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': at('lists'),
    'Dir::State::status': at('status'),
    'Dir::Cache': folder,
    'Acquire::Languages': 'none',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...flags, 'update', '-qq'], folder);
  run('apt-get', [...flags, 'download', '-qq', `${IPSEC_MB.package}=${IPSEC_MB.version}`], folder);
}
