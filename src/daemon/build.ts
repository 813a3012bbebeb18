/** Describes what this program was built from and with, for `--version --verbose`. */
import { readFileSync } from 'node:fs';
import { arch, release } from 'node:os';
import { join } from 'node:path';
import { installedText, packageRoot } from '../io/installation.ts';
import { loadedAddon, nativeBinding } from '../io/native-binding.ts';
import { canFilterCalls } from '../io/sandbox.ts';

/** Returns labels and texts, the most important first. */
export function describeBuild(): [label: string, text: string][] {
  return [
    ['commit', commit() ?? 'unknown'],
    ['node', `${process.version}, OpenSSL ${process.versions.openssl}`],
    ['system', `Linux ${release()}, ${arch()}`],
    ...describeAddon(),
    [
      'sandbox',
      `a device ${canFilterCalls() ? 'is confined' : 'gives up capabilities; this kernel cannot filter system calls'}`,
    ],
  ];
}

function describeAddon(): [string, string][] {
  try {
    const provider = nativeBinding()
      .cipherProviders()
      .find(({ name }) => name === 'ipsec-mb');
    const path = loadedAddon() ?? '';
    const prebuilt = /\/prebuilt\/(.*)\.node$/.exec(path)?.[1];
    const origin = /\/native\/build\//.test(path) ? 'built here' : `prebuilt${prebuilt ? ` for ${prebuilt}` : ''}`;
    return [
      ['addon', path === '' ? `${origin}, inside this executable` : `${origin} (${path})`],
      ['ipsec-mb', provider?.problem === undefined ? 'libIPSec_MB loaded' : `none: ${provider.problem}`],
    ];
  } catch (error) {
    return [['addon', `none: ${(error as Error).message}`]];
  }
}

/** Returns the asset COMMIT of a single executable, or the checked-out commit of a clone. */
function commit(): string | undefined {
  const packaged = attempt(() => installedText('COMMIT'));
  if (packaged) return packaged;
  const head = git('HEAD');
  const branch = head?.match(/^ref: (\S+)$/)?.[1];
  if (branch === undefined) return head;
  return git(branch) ?? git('packed-refs')?.match(new RegExp(`^(\\w+) ${branch}$`, 'm'))?.[1];
}

function git(name: string): string | undefined {
  return attempt(() => readFileSync(join(packageRoot(), '.git', name), 'utf8'));
}

function attempt(read: () => string): string | undefined {
  try {
    return read().trim();
  } catch {
    return undefined;
  }
}
