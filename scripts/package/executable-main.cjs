// The main script of a single executable (executable.mjs). It loads the bundle's files
// (scripts/bundle.mjs) from the executable on demand, and starts the program that argv[0] names.
const { basename } = require('node:path');
const { getAsset } = require('node:sea');
const { compileFunction } = require('node:vm');

const FOLDER = 'dist/program/';
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const loaded = new Map();

function load(name) {
  const known = loaded.get(name);
  if (known) return known.exports;
  const module = { exports: {} };
  loaded.set(name, module);
  // The file's name in stack traces.
  const filename = `/wireguard-ts/${FOLDER}${name}`;
  const run = compileFunction(getAsset(FOLDER + name, 'utf8'), PARAMETERS, { filename });
  const requireFrom = id => (id.startsWith('./') ? load(id.slice(2)) : require(id));
  run.call(module.exports, module.exports, requireFrom, module, filename, '/wireguard-ts/dist/program');
  return module.exports;
}

load(basename(process.argv0) === 'wireguard-ts' ? 'wireguard-ts.cjs' : 'wgts.cjs');
