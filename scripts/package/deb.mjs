// Makes the .deb with dpkg-deb.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layOut, MAINTAINER } from './contents.mjs';
import { NAME, ROOT, run, VERSION } from './release.mjs';

const SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** @param work an empty folder for the package's tree. @returns the path of the package */
export async function makeDeb(architecture, { out, work, epoch, compression, ...sources }) {
  const laid = layOut('deb', work, sources, epoch);
  const files = laid.filter(({ kind }) => kind === 'file' || kind === 'configuration');
  const control = join(work, 'DEBIAN');
  mkdirSync(control, { mode: 0o755 });
  const bytes = files.reduce((sum, { path }) => sum + statSync(join(work, path)).size, 0);
  write('control', description(architecture, Math.ceil(bytes / 1024)));
  write(
    'conffiles',
    paths(laid, 'configuration')
      .map(path => `${path}\n`)
      .join(''),
  );
  write('md5sums', files.map(({ path }) => `${md5(join(work, path))}  ${path.slice(1)}\n`).join(''));
  for (const name of SCRIPTS) {
    copyFileSync(join(ROOT, 'packaging/deb', name), join(control, name));
  }
  const target = join(out, `${NAME}_${VERSION}_${architecture.deb}.deb`);
  // Use one thread: with more, xz splits its input differently. No file may be newer than the
  // commit.
  const xz = ['-Zxz', `-z${compression.xz}`, '--threads-max=1'];
  await run('dpkg-deb', ['--build', '--root-owner-group', ...xz, work, `${target}.new`], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    stdio: ['ignore', 'ignore', 2],
  });
  renameSync(`${target}.new`, target);
  return target;

  function write(name, text) {
    writeFileSync(join(control, name), text, { mode: 0o644 });
  }
}

/**
 * Returns the package's control file. Depends lists only the libraries that the executable is
 * linked with; test/package compares it with the ELF header.
 */
function description({ deb }, kilobytes) {
  return `Package: ${NAME}
Version: ${VERSION}
Architecture: ${deb}
Maintainer: ${MAINTAINER}
Installed-Size: ${kilobytes}
Depends: libc6 (>= 2.28), libgcc-s1 (>= 3.4) | libgcc1 (>= 1:3.4), libstdc++6 (>= 7)
Recommends: wireguard-tools
Suggests: resolvconf | openresolv | systemd-resolved, bash-completion
Section: net
Priority: optional
Description: userspace WireGuard, and an agent for Calico clusters
 wgts brings tunnels up and down from wg-quick's files, shows and sets them,
 and makes a node without the kernel module a member of a Calico cluster's
 WireGuard. wireguard-ts runs one device in userspace and is controlled by
 wg, as wireguard-go is.
 .
 One executable: neither Node.js nor a compiler is needed.
`;
}

function paths(laid, wanted) {
  return laid.filter(({ kind }) => kind === wanted).map(({ path }) => path);
}

function md5(path) {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}
