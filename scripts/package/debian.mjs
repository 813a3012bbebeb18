// Downloads Debian packages by name, version and SHA-256. apt downloads them and checks Debian's
// signature; the packages are cached.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedFile } from './cache.mjs';
import { run } from './node.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Returns the path of the .deb. @throws Error if this is not Debian, or if the version is gone */
export function debianPackage({ package: name, version, suite, architecture, sha256 }) {
  return pinnedFile({
    name: `${name}.deb`,
    sha256,
    fetch(folder) {
      download(folder, { name, version, suite, architecture });
      return join(
        folder,
        readdirSync(folder).find(file => file.endsWith('.deb')),
      );
    },
  });
}

/**
 * Downloads a package. Uses its own package lists: this machine's Debian may be another release.
 */
export function download(folder, { name, version, suite, architecture }) {
  const mirror = run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'], folder)
    .split('\n')
    .find(uri => /\/debian\/?$/.test(uri));
  if (mirror === undefined || !existsSync(KEYRING))
    throw new Error(`${name} ${version} comes from Debian: build on Debian, or install that package`);
  const at = path => join(folder, path);
  for (const path of ['lists/partial', 'archives/partial']) mkdirSync(at(path), { recursive: true });
  writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING} arch=${architecture}] ${mirror} ${suite} main\n`);
  writeFileSync(at('status'), '');
  const options = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
    'Dir::Etc::sourcelist': at('sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': at('lists'),
    'Dir::State::status': at('status'),
    'Dir::Cache': folder,
    'Acquire::Languages': 'none',
  };
  const flags = Object.entries(options).flatMap(([option, value]) => ['-o', `${option}=${value}`]);
  run('apt-get', [...flags, 'update', '-qq'], folder);
  run('apt-get', [...flags, 'download', '-qq', `${name}=${version}`], folder);
}
