// Writes the image as an OCI archive: one file for all architectures, which skopeo, podman and
// containerd can import.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { layOutImage } from './image-tree.mjs';
import { MANIFEST, NAME, run, VERSION } from './release.mjs';

const TYPE = 'application/vnd.oci.image';
const compress = promisify(gzip);

/** @param work an empty folder. @returns the path of the archive */
export async function makeImage(architectures, { out, work, epoch, compression }) {
  const layout = join(work, 'layout');
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const manifests = [];
  for (const architecture of architectures)
    manifests.push(await imageOf(architecture, layout, join(work, architecture.node), epoch, compression));
  const index = blob(layout, `${TYPE}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.index.v1+json`,
    manifests,
  });
  const annotations = {
    'org.opencontainers.image.ref.name': VERSION,
    // containerd reads the full name from this annotation.
    'io.containerd.image.name': `docker.io/library/${NAME}:${VERSION}`,
  };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...index, annotations }] }),
  );
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const target = join(out, `${NAME}-${VERSION}.oci.tar`);
  await tar(layout, `${target}.new`, epoch);
  renameSync(`${target}.new`, target);
  return target;
}

/**
 * Makes the image of one architecture. It has a single layer, because it shares nothing with other
 * images.
 * @returns the descriptor of its manifest
 */
async function imageOf(architecture, layout, work, epoch, compression) {
  const tree = join(work, 'tree');
  mkdirSync(tree, { recursive: true });
  await layOutImage(architecture, tree, work);
  const archive = join(work, 'layer.tar');
  await tar(tree, archive, epoch);
  const bytes = readFileSync(archive);
  const created = new Date(epoch * 1000).toISOString();
  const platform = {
    architecture: architecture.oci,
    os: 'linux',
    ...(architecture.oci === 'arm64' && { variant: 'v8' }),
  };
  const config = {
    ...platform,
    created,
    // The same configuration as in deploy/Dockerfile.
    config: {
      User: '0:0',
      Env: ['PATH=/usr/bin'],
      Entrypoint: ['/usr/bin/wgts'],
      Cmd: ['calico'],
      Labels: {
        'org.opencontainers.image.title': NAME,
        'org.opencontainers.image.version': VERSION,
        'org.opencontainers.image.description': MANIFEST.description,
        'org.opencontainers.image.licenses': MANIFEST.license,
      },
    },
    rootfs: { type: 'layers', diff_ids: [digest(bytes)] },
    history: [{ created, created_by: 'npm run package' }],
  };
  const manifest = blob(layout, `${TYPE}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.manifest.v1+json`,
    config: blob(layout, `${TYPE}.config.v1+json`, config),
    layers: [blob(layout, `${TYPE}.layer.v1.tar+gzip`, await compress(bytes, { level: compression.gzip }))],
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
 * Packs files in sorted order, owned by root and with the commit's time, so that the same files
 * give the same bytes.
 */
function tar(folder, target, epoch) {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`, '--format=gnu'];
  return run('tar', ['-C', folder, ...same, '-cf', target, '.']);
}
