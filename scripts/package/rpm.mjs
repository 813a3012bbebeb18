// Makes the .rpm with rpmbuild. Nothing is compiled, so this works for any architecture.
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { layOut, MAINTAINER } from './contents.mjs';
import { MANIFEST, NAME, ROOT, run, VERSION, writeWhole } from './release.mjs';

/** The package's release number for one version of the program. */
const RELEASE = 1;
/**
 * Macros that prevent bytes which depend on the machine, and prevent stripping, which would remove
 * the program from the executable.
 */
const DEFINES = {
  _buildhost: 'localhost',
  use_source_date_epoch_as_buildtime: 1,
  clamp_mtime_to_source_date_epoch: 1,
  source_date_epoch_from_changelog: 0,
  _build_id_links: 'none',
  debug_package: '%{nil}',
  __os_install_post: '%{nil}',
};

/**
 * Makes the package. @param work an empty folder for the package's tree and rpmbuild's files.
 * @returns the path of the package
 */
export async function makeRpm(architecture, { out, work, epoch, compression, ...sources }) {
  const tree = join(work, 'tree');
  mkdirSync(tree);
  const laid = layOut('rpm', tree, sources, epoch);
  const file = writeWhole(join(work, 'package.spec'), specification(tree, laid));
  const defines = {
    ...DEFINES,
    // The .deb's compression, which every rpm can unpack.
    _binary_payload: `w${compression.xz}.xzdio`,
    _topdir: join(work, 'rpmbuild'),
    _rpmdir: work,
    _rpmfilename: 'package.rpm',
  };
  const options = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  await run('rpmbuild', ['-bb', '--quiet', '--target', `${architecture.rpm}-linux`, ...options, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), HOME: work },
    stdio: ['ignore', 'ignore', 2],
  });
  const target = join(out, `${NAME}-${VERSION}-${RELEASE}.${architecture.rpm}.rpm`);
  renameSync(join(work, 'package.rpm'), target);
  return target;
}

function specification(tree, laid) {
  return `Name: ${NAME}
Version: ${VERSION}
Release: ${RELEASE}
Summary: Userspace WireGuard, and an agent for Calico clusters
License: ${MANIFEST.license}
Vendor: wireguard-ts
Packager: ${MAINTAINER}
Group: Applications/Internet
AutoReqProv: no
Requires: libc.so.6(GLIBC_2.28)(64bit), libgcc_s.so.1(GCC_3.4)(64bit), libstdc++.so.6(CXXABI_1.3.11)(64bit)
Recommends: wireguard-tools
Suggests: bash-completion

%description
wgts brings tunnels up and down from wg-quick's files, shows and sets them,
and makes a node without the kernel module a member of a Calico cluster's
WireGuard. wireguard-ts runs one device in userspace and is controlled by
wg, as wireguard-go is.

One executable: neither Node.js nor a compiler is needed.

%install
cp -a '${tree}/.' %{buildroot}

%post
${script('post')}
%preun
${script('preun')}
%postun
${script('postun')}
%files
${[...ownFolders(laid), ...laid].map(line).join('\n')}
`;
}

function script(name) {
  return readFileSync(join(ROOT, 'packaging/rpm', name), 'utf8');
}

/**
 * Returns the folders that only this package uses: rpm removes a folder only if a package owns it.
 */
function ownFolders(laid) {
  const folders = new Set(laid.map(({ path }) => dirname(path)).filter(path => basename(path) === NAME));
  return [...folders].map(path => ({ path, mode: 0o755, kind: 'folder' }));
}

function line({ path, mode, kind }) {
  const kinds = { file: '', link: '', folder: '%dir ', configuration: '%config(noreplace) ' };
  const rights = kind === 'link' ? '' : `%attr(0${mode.toString(8)}, root, root) `;
  return `${kinds[kind]}${rights}"${path}"`;
}
