// Makes the image of a release as an OCI archive.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { layOutImage } from './image-tree.mjs';
import { makeArchive } from './oci-archive.mjs';
import { MANIFEST, NAME, VERSION } from './release.mjs';

/** The same configuration as in deploy/Dockerfile. */
const CONFIG = {
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
};

/** @param work an empty folder. @returns the path of the archive */
export async function makeImage(architectures, { out, work, epoch, compression, inventory }) {
  const images = [];
  for (const architecture of architectures) {
    const folder = join(work, architecture.node);
    const tree = join(folder, 'tree');
    mkdirSync(tree, { recursive: true });
    await layOutImage(architecture, tree, { work: folder, inventory, epoch });
    const { oci } = architecture;
    const platform = { architecture: oci, os: 'linux', ...(oci === 'arm64' && { variant: 'v8' }) };
    images.push({ platform, tree, config: CONFIG });
  }
  return await makeArchive({
    target: join(out, `${NAME}-${VERSION}.oci.tar`),
    reference: `docker.io/library/${NAME}:${VERSION}`,
    images,
    work: join(work, 'archive'),
    epoch,
    compression: compression.gzip,
    createdBy: 'npm run image',
  });
}
