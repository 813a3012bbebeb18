#!/usr/bin/env node
// `npm run package`: makes everything that belongs to a release, for x64 and arm64, in
// dist/package. The same commit gives the same bytes.
//
// Usage: `package.mjs [--arch x64|arm64]... [--only executable|deb|rpm|oci]... [--quick]`
// Makes all parts for both architectures by default. `--only oci` is `npm run image`. --quick
// compresses little: the same contents in larger files, for tests.
//
// Requires Node, Debian's dpkg-deb and apt, and rpmbuild (apt-get install rpm).
// Environment: SOURCE_DATE_EPOCH (the commit's time by default).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeChecksums } from './package/checksums.mjs';
import { completions, manPages } from './package/contents.mjs';
import { makeDeb } from './package/deb.mjs';
import { imageLibraries } from './package/image-tree.mjs';
import { inventory } from './package/inventory.mjs';
import { notices } from './package/notices.mjs';
import { makeImage } from './package/oci.mjs';
import {
  ARCHITECTURES,
  NAME,
  ReleaseError,
  ROOT,
  run,
  sourceDateEpoch,
  VERSION,
  writeWhole,
} from './package/release.mjs';
import { makeRpm } from './package/rpm.mjs';
import { sbom } from './package/sbom.mjs';

const OUT = join(ROOT, 'dist/package');
const PARTS = { deb: makeDeb, rpm: makeRpm };
/** Levels of compression. */
const RELEASED = { xz: 6, gzip: 9 };
const QUICK = { xz: 0, gzip: 1 };

const work = mkdtempSync(join(tmpdir(), 'wgts-package-'));
try {
  await main(options());
} catch (error) {
  if (!(error instanceof ReleaseError)) throw error;
  console.error(`package: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function main({ architectures, parts, isQuick }) {
  const began = performance.now();
  const epoch = sourceDateEpoch();
  if (parts.includes('rpm') && spawnSync('rpmbuild', ['--version']).status !== 0)
    throw new ReleaseError('rpmbuild is missing: apt-get install rpm (or skip the .rpm: --only executable --only deb)');
  warnOfChanges();
  await run(process.execPath, ['scripts/ready.mjs']);
  const isImageOnly = parts.every(part => part === 'oci');
  if (!isImageOnly) await run('npm', ['run', '--silent', 'man']);
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  const images = parts.includes('oci') ? architectures.map(name => ARCHITECTURES[name]) : [];
  const inside = { ...(await inventory()), debian: imageLibraries(images) };
  const documents = [
    writeWhole(join(OUT, 'THIRD-PARTY-NOTICES'), notices(inside)),
    writeWhole(join(OUT, `${NAME}-${VERSION}.cdx.json`), sbom(inside, epoch)),
  ];
  const shared = {
    out: OUT,
    epoch,
    inventory: inside,
    ...(!isImageOnly && { manPages: manPages(), completions: completions(work) }),
    notices: documents[0],
    sbom: documents[1],
    compression: isQuick ? QUICK : RELEASED,
  };
  const perArchitecture = isImageOnly
    ? []
    : await Promise.all(architectures.map(name => makeAll(ARCHITECTURES[name], parts, shared)));
  const made = [...documents, ...perArchitecture.flat()];
  if (parts.includes('oci')) made.push(await image(architectures, shared));
  made.sort();
  await writeChecksums(OUT, made);
  for (const path of made) console.log(`${(statSync(path).size / 1e6).toFixed(1).padStart(7)} MB  ${basename(path)}`);
  console.log(`${OUT}: made in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}

/**
 * Makes one part after the other: each part keeps one core busy, and two architectures run at once.
 */
async function makeAll(architecture, parts, shared) {
  const executable = join(OUT, `wgts-${VERSION}-linux-${architecture.node}`);
  await run(process.execPath, ['scripts/package/executable.mjs', architecture.node, executable]);
  const made = [executable];
  for (const part of parts) {
    if (!PARTS[part]) continue;
    const folder = join(work, `${part}-${architecture.node}`);
    mkdirSync(folder);
    made.push(await PARTS[part](architecture, { ...shared, executable, work: folder }));
    rmSync(folder, { recursive: true });
  }
  return made;
}

function image(architectures, shared) {
  const folder = join(work, 'oci');
  mkdirSync(folder);
  return makeImage(
    architectures.map(name => ARCHITECTURES[name]),
    { ...shared, work: folder },
  );
}

function warnOfChanges() {
  const status = spawnSync('git', ['status', '--porcelain', '--untracked-files=no'], { cwd: ROOT, encoding: 'utf8' });
  if (status.stdout?.trim())
    console.error(
      `package: files differ from the commit, so the bytes are not those of a release:\n${status.stdout.trimEnd()}`,
    );
}

function options() {
  const all = ['executable', ...Object.keys(PARTS), 'oci'];
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
    },
  });
  const architectures = values.arch ?? Object.keys(ARCHITECTURES);
  const parts = values.only ?? all;
  for (const [given, known, option] of [
    [architectures, Object.keys(ARCHITECTURES), '--arch'],
    [parts, all, '--only'],
  ])
    for (const name of given)
      if (!known.includes(name)) throw new ReleaseError(`${option} ${name}: must be one of ${known.join(', ')}`);
  return { architectures, parts, isQuick: values.quick };
}
