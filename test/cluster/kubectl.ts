/**
 * Finds kubectl for tests: in KUBEBUILDER_ASSETS, in the PATH, or built from its Go modules into a
 * cache folder at first use (a minute or two).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { builtOnce } from '../support/built-once.ts';
import { ROOT } from '../support/repository.ts';

const SOURCE = join(ROOT, 'test/cluster/kubectl');
/** Timeout of the test that builds it. */
export const KUBECTL_LIMIT_MS = 600_000;

/** @throws Error that names what is missing */
export function kubectlProgram(): Promise<string> {
  return goProgram('kubectl', SOURCE);
}

/**
 * Finds a program, or builds it from a folder with its module.
 * @throws Error that names what is missing
 */
export async function goProgram(name: string, source: string): Promise<string> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const folders = [...(assets ? [assets] : []), ...(process.env['PATH'] ?? '').split(delimiter)];
  const found = folders.map(folder => join(folder, name)).find(path => existsSync(path));
  return found ?? builtOnce(name, target => build(source, target));
}

function build(source: string, target: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-go-'));
  try {
    cpSync(source, folder, { recursive: true });
    go(folder, ['mod', 'tidy']);
    go(folder, ['build', '-trimpath', '-ldflags', '-s -w', '-o', target, '.']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function go(cwd: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('go', args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0' },
    timeout: KUBECTL_LIMIT_MS,
  });
  if (error)
    throw new Error(`the program is not here and cannot be built: ${error.message} (apt-get install golang-go)`);
  if (status !== 0) throw new Error(`go ${args.join(' ')} failed: ${stderr}`);
}
