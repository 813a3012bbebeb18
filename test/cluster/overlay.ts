/** Builds an installation of deploy/ with components, like an operator's own kustomization. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { REPOSITORY } from '../support/guide.ts';

const DEPLOY = join(REPOSITORY, 'deploy');

/**
 * The folder is removed when `use` returns.
 * @param more further lines of the kustomization.yaml
 */
export function withOverlay<T>(
  installation: string,
  components: readonly string[],
  use: (folder: string) => T,
  more = '',
): T {
  const at = mkdtempSync(join(tmpdir(), 'wgts-overlay-'));
  // kustomize rejects absolute paths.
  const path = (name: string) => JSON.stringify(relative(at, join(DEPLOY, name)));
  try {
    writeFileSync(
      join(at, 'kustomization.yaml'),
      `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [${path(installation)}]
components: [${components.map(name => path(`components/${name}`)).join(', ')}]
${more}
`,
    );
    return use(at);
  } finally {
    rmSync(at, { recursive: true });
  }
}
