// Defines the files that both the .deb and the .rpm install, and their paths.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzip, NAME, ReleaseError, ROOT, VERSION } from './release.mjs';

/** A placeholder: the project has no address, and RFC 2606 reserves this domain. */
export const MAINTAINER = 'The founders of wireguard-ts <maintainers@wireguard-ts.invalid>';
const UNITS = ['wgts@.service', 'wgts-calico.service'];
const DOC = `/usr/share/doc/${NAME}`;
/** The folders in which each distribution's shells look for the completions of packages. */
const COMPLETIONS = {
  bash: () => '/usr/share/bash-completion/completions/wgts',
  zsh: packager => `/usr/share/zsh/${packager === 'deb' ? 'vendor-completions' : 'site-functions'}/_wgts`,
  fish: () => '/usr/share/fish/vendor_completions.d/wgts.fish',
};

/**
 * Copies everything that a package installs into a folder, with the commit's time as modification
 * time.
 * @param sources { executable, manPages, completions, notices, sbom }: paths; completions by shell
 * @returns the entries: [{ path, mode, kind }], where kind is file, folder, link or configuration
 */
export function layOut(packager, folder, sources, epoch) {
  const laid = [];
  put('/usr/bin/wgts', sources.executable, 0o755);
  link('/usr/bin/wireguard-ts', 'wgts');
  put(`/usr/lib/${NAME}/take-down`, join(ROOT, 'packaging/take-down'), 0o755);
  put('/etc/default/wgts-calico', join(ROOT, 'packaging/wgts-calico.default'), 0o644, 'configuration');
  // /etc/wireguard holds private keys, so only root may read it.
  makeFolder('/etc/wireguard', 0o700);
  for (const name of UNITS) write(`/usr/lib/systemd/system/${name}`, unit(name));
  for (const path of sources.manPages) write(`/usr/share/man/man8/${basename(path)}.gz`, packed(path));
  for (const [shell, path] of Object.entries(sources.completions)) put(COMPLETIONS[shell](packager), path);
  write(`${DOC}/THIRD-PARTY-NOTICES.gz`, packed(sources.notices));
  write(`${DOC}/sbom.cdx.json.gz`, packed(sources.sbom));
  write(`${DOC}/CHANGELOG.md.gz`, packed(join(ROOT, 'CHANGELOG.md')));
  if (packager === 'deb') {
    write(`${DOC}/copyright`, copyright());
    write(`${DOC}/changelog.gz`, gzip(debianChangelog(epoch)));
    put(`/usr/share/lintian/overrides/${NAME}`, join(ROOT, 'packaging/lintian-overrides'));
  } else put(`/usr/share/licenses/${NAME}/LICENSE`, join(ROOT, 'LICENSE'));
  return laid.sort((a, b) => (a.path < b.path ? -1 : 1));

  function put(path, source, mode = 0o644, kind = 'file') {
    copyFileSync(source, place(path));
    note(path, mode, kind);
  }
  function write(path, bytes) {
    writeFileSync(place(path), bytes);
    note(path, 0o644, 'file');
  }
  function link(path, target) {
    symlinkSync(target, place(path));
    lutimesSync(join(folder, path), epoch, epoch);
    laid.push({ path, mode: 0o777, kind: 'link' });
  }
  function makeFolder(path, mode) {
    mkdirSync(place(path));
    note(path, mode, 'folder');
  }
  function place(path) {
    mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o755 });
    return join(folder, path);
  }
  function note(path, mode, kind) {
    chmodSync(join(folder, path), mode);
    utimesSync(join(folder, path), epoch, epoch);
    laid.push({ path, mode, kind });
  }
}

/** @returns the paths of the pages that `npm run man` wrote */
export function manPages() {
  const folder = join(ROOT, 'dist/man');
  const found = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.8')) : [];
  if (found.length === 0) throw new ReleaseError('dist/man has no manual pages; run: npm run man');
  return found.sort().map(name => join(folder, name));
}

/**
 * Makes the program write its completion script for each shell into the folder. Requires a clone
 * that is ready to run. @returns the paths by shell
 */
export function completions(folder) {
  return Object.fromEntries(
    Object.keys(COMPLETIONS).map(shell => {
      const path = join(folder, `completion.${shell}`);
      const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
      writeFileSync(path, execFileSync(join(ROOT, 'bin/wgts'), ['completion', shell], options));
      return [shell, path];
    }),
  );
}

function packed(path) {
  return gzip(readFileSync(path));
}

/**
 * Returns a unit of systemd/, changed to run the package's program even if PATH has another one.
 */
function unit(name) {
  const text = readFileSync(join(ROOT, 'systemd', name), 'utf8');
  const changed = text.replace(/^(Exec\w+=-?)wgts /gm, '$1/usr/bin/wgts ');
  if (!/^ExecStart=\/usr\/bin\/wgts /m.test(changed))
    throw new ReleaseError(`systemd/${name}: ExecStart does not run wgts`);
  return changed;
}

function copyright() {
  const licence = readFileSync(join(ROOT, 'LICENSE'), 'utf8').split('\n').slice(4).join('\n').trim();
  const indented = licence.split('\n').map(line => ` ${line.trim() || '.'}`);
  return readFileSync(join(ROOT, 'packaging/copyright'), 'utf8').replace('@LICENSE@', indented.join('\n'));
}

function debianChangelog(epoch) {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `${NAME} (${VERSION}) unstable; urgency=medium

  * Release ${VERSION}: see ${DOC}/CHANGELOG.md.gz

 -- ${MAINTAINER}  ${date}
`;
}
