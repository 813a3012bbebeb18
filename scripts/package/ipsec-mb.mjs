// Finds libIPSec_MB for x64, which seals packets twice as fast as OpenSSL. Debian 12's version is
// used, because it needs only glibc 2.14.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf, pinnedFile } from './cache.mjs';
import { download } from './debian.mjs';
import { run } from './node.mjs';

export const IPSEC_MB = { package: 'libipsec-mb1', version: '1.3-2', suite: 'bookworm' };
const FILE = 'usr/lib/x86_64-linux-gnu/libIPSec_MB.so.1.3.0';
const SHA256 = '5f77c936aaff610a575291b5712ad7138f1f96bdc9c3038227aca31213c1f2c2';

/**
 * Returns the path of the library: this machine's own if its hash matches, otherwise the one from
 * Debian's package, which apt downloads.
 */
export async function ipsecMb() {
  if (hashOf(`/${FILE}`) === SHA256) return `/${FILE}`;
  return await pinnedFile({
    name: 'libIPSec_MB.so.1',
    sha256: SHA256,
    fetch(folder) {
      download(folder, { ...IPSEC_MB, name: IPSEC_MB.package, architecture: 'amd64' });
      const deb = readdirSync(folder).find(name => name.endsWith('.deb'));
      run('dpkg-deb', ['-x', deb, 'tree'], folder);
      return join(folder, 'tree', FILE);
    },
  });
}
