/**
 * The musl addons against Debian's musl: each undefined symbol is in its libc or in Node. Nothing
 * here loads the addons, because no Node for musl runs on Debian 12 (its musl 1.2.3 lacks relative
 * relocations).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { PREBUILT } from '../../scripts/addon/recipe.mjs';
import { testWith } from '../netns/needs.ts';
import { readElf } from '../support/elf.ts';

const MUSL = '/lib/ld-musl-x86_64.so.1';
/** Prefixes of Node-API and libuv. */
const OF_NODE = /^(napi_|node_api_|uv_)/;

testWith(['musl'], 'musl defines every symbol that is not Node’s', () => {
  const offered = new Set(readElf(readFileSync(MUSL)).defined);
  for (const arch of ['x64', 'arm64']) {
    const elf = readElf(readFileSync(join(PREBUILT, `linux-${arch}-musl.node`)));
    const outside = elf.undefined.filter(symbol => !OF_NODE.test(symbol));
    expect(outside.length).toBeGreaterThan(20);
    // Weak symbols of the compiler's start-up code may be missing.
    expect(
      outside.filter(symbol => !offered.has(symbol) && !/^(_ITM_|__gmon_start__|__deregister|__register)/.test(symbol)),
    ).toEqual([]);
  }
});

testWith(['musl'], 'Node defines every symbol that is Node’s', () => {
  const offered = new Set(readElf(readFileSync(process.execPath)).defined);
  const elf = readElf(readFileSync(join(PREBUILT, 'linux-x64-musl.node')));
  expect(elf.undefined.filter(symbol => OF_NODE.test(symbol) && !offered.has(symbol))).toEqual([]);
});
