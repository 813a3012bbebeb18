/** What this program was built from and with, for `--version --verbose`. */
import { readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { nativeBinding } from '../io/native-binding.ts';

/** Labels and texts, most important first. */
export function describeBuild(): [label: string, text: string][] {
  return [
    ['commit', commit() ?? 'unknown'],
    ['node', `${process.version}, OpenSSL ${process.versions.openssl}`],
    ['system', `Linux ${release()}, ${arch()}`],
    ...describeAddon(),
  ];
}

function describeAddon(): [string, string][] {
  try {
    const provider = nativeBinding()
      .cipherProviders()
      .find(({ name }) => name === 'ipsec-mb');
    return [
      ['addon', 'loaded'],
      ['ipsec-mb', provider?.problem ?? 'loaded (libIPSec_MB)'],
    ];
  } catch (error) {
    return [['addon', `none: ${(error as Error).message}`]];
  }
}

/** The file COMMIT, which packages have, or the checked-out commit of a clone. */
function commit(): string | undefined {
  const packaged = read('COMMIT')?.trim();
  if (packaged) return packaged;
  const head = read('.git/HEAD')?.trim();
  const branch = head?.match(/^ref: (\S+)$/)?.[1];
  if (branch === undefined) return head;
  return read(`.git/${branch}`)?.trim() ?? read('.git/packed-refs')?.match(new RegExp(`^(\\w+) ${branch}$`, 'm'))?.[1];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  } catch {
    return undefined;
  }
}
