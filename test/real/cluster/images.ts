/** The images of the real cluster, as OCI archives that containerd imports. */
import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeArchive } from '../../../scripts/package/oci-archive.mjs';
import { run } from '../../netns/command.ts';
import { ROOT } from '../../support/repository.ts';
import { PAUSE_IMAGE } from './node-configuration.ts';

const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;

/** Makes the agent's image from this clone, with this machine's Node and libraries. */
export async function makeAgentImage(folder: string, reference: string): Promise<string> {
  const target = join(folder, 'agent.oci.tar');
  if (existsSync(target)) return target;
  const tree = join(folder, 'agent-tree');
  await run([process.execPath, join(ROOT, 'deploy/assemble.mjs'), tree], { timeout: 300_000 });
  const config = { User: '0:0', Env: ['PATH=/usr/bin'], Entrypoint: ['/usr/bin/wgts'], Cmd: ['calico'] };
  return await archive(target, reference, tree, config);
}

/** Makes the image of the pods' first process. @param program statically linked */
export async function makePauseImage(folder: string, program: string): Promise<string> {
  const tree = join(folder, 'pause-tree');
  mkdirSync(tree, { recursive: true });
  copyFileSync(program, join(tree, 'pause'));
  chmodSync(join(tree, 'pause'), 0o755);
  return await archive(join(folder, 'pause.oci.tar'), PAUSE_IMAGE, tree, { Entrypoint: ['/pause'] });
}

async function archive(target: string, reference: string, tree: string, config: object): Promise<string> {
  const platform = { architecture: ARCHITECTURE, os: 'linux' };
  const work = `${target}.work`;
  // Not compressed: it is read once, from this machine.
  await makeArchive({
    target,
    reference,
    work,
    epoch: 0,
    compression: 0,
    createdBy: 'test/real',
    images: [{ platform, tree, config }],
  });
  return target;
}
