// Writes an image as an OCI archive: one file for all architectures, which skopeo, podman and
// containerd can import.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { run } from './release.mjs';

const TYPE = 'application/vnd.oci.image';
const compress = promisify(gzip);

/**
 * Writes an archive. The same files and arguments give the same bytes.
 * @param target path of the archive
 * @param reference the image's full name, as containerd reads it: `docker.io/library/NAME:TAG`
 * @param images for each architecture { platform: { architecture, os, variant? }, tree: a folder,
 * config: what OCI calls the execution parameters }
 * @param work a folder that is removed
 * @param epoch the time of all files, in seconds since 1970
 * @param compression level of gzip, 0 to 9
 */
export async function makeArchive({ target, reference, images, work, epoch, compression, createdBy }) {
  const layout = join(work, 'layout');
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const manifests = [];
  for (const image of images) manifests.push(await putImage(image, { layout, work, epoch, compression, createdBy }));
  const index = blob(layout, `${TYPE}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.index.v1+json`,
    manifests,
  });
  const annotations = {
    'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
    'io.containerd.image.name': reference,
  };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...index, annotations }] }),
  );
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await tar(layout, `${target}.new`, epoch);
  renameSync(`${target}.new`, target);
  rmSync(work, { recursive: true });
  return target;
}

/**
 * Puts the image of one architecture into the layout. It has a single layer, because it shares
 * nothing with other images.
 * @returns the descriptor of its manifest
 */
async function putImage({ platform, tree, config }, { layout, work, epoch, compression, createdBy }) {
  const file = join(work, `${platform.architecture}.tar`);
  await tar(tree, file, epoch);
  const bytes = readFileSync(file);
  const created = new Date(epoch * 1000).toISOString();
  const manifest = blob(layout, `${TYPE}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.manifest.v1+json`,
    config: blob(layout, `${TYPE}.config.v1+json`, {
      ...platform,
      created,
      config,
      rootfs: { type: 'layers', diff_ids: [digest(bytes)] },
      history: [{ created, created_by: createdBy }],
    }),
    layers: [
      compression === 0
        ? blob(layout, `${TYPE}.layer.v1.tar`, bytes)
        : blob(layout, `${TYPE}.layer.v1.tar+gzip`, await compress(bytes, { level: compression })),
    ],
  });
  return { ...manifest, platform };
}

/** Writes a blob. @param content bytes, or an object that becomes JSON. @returns its descriptor */
function blob(layout, mediaType, content) {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const name = digest(bytes);
  writeFileSync(join(layout, 'blobs', name.replace(':', '/')), bytes);
  return { mediaType, digest: name, size: bytes.length };
}

function digest(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Packs files in sorted order, owned by root and with the same time, so that the same files give
 * the same bytes.
 */
function tar(folder, target, epoch) {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`, '--format=gnu'];
  return run('tar', ['-C', folder, ...same, '-cf', target, '.']);
}
