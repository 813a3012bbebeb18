// What is mutated, and the tests that must notice: the fast tests of each folder. No test with the
// tag `slow`, and none that needs namespaces, virtual machines or servers.
import { readdirSync } from 'node:fs';

/** By folder of `src`: the folders or files of its tests, and the score in percent to reach. */
export const FOLDERS = {
  routing: { tests: ['test/routing'], score: 85 },
  packet: { tests: ['test/packet'], score: 85 },
  protocol: {
    tests: [
      'test/protocol',
      'test/sim',
      'test/contract/copy-key.test.ts',
      'test/fuzz/twins-open.test.ts',
      'test/fuzz/twins-seal.test.ts',
    ],
    score: 85,
  },
  config: { tests: ['test/config', 'test/quick/file.test.ts', 'test/quick/wrong-files.test.ts'], score: 75 },
  'calico/plan': { tests: ['test/calico/plan'], score: 75 },
};

/**
 * Tests of size, of speed and of other programs: a part of `file#name`. They would cost seconds for
 * each mutant, or start a program for it.
 */
export const LEFT_OUT = [
  'a thousand handshakes need only a few',
  'refuses more sessions than the cipher has keys',
  'initiations without room for an answer wait',
  'queued handshakes, cookies and rate limits go on',
  'no cookie is required, however many handshakes',
  'are random in all 32 bits and never repeat',
  'test/config/wg-differential.test.ts',
  'an endless request of',
  'a first line of 1 MB',
  '130,560 allowed IPs',
  'is split into pieces if it is large',
  'a line of a megabyte',
  'rejects a huge or endless file',
  'test/calico/plan/scale.test.ts',
  'test/calico/plan/go-text.test.ts',
  'test/calico/plan/config/go-ini.test.ts',
  'test/calico/plan/config/go-regexp.test.ts',
  '1,000 nodes yield half a million pairs',
  '1,000 random clusters, four plans each',
  'every address lies either in the result or in a hole',
];

/** Fewer random cases, always the same: a mutant must not survive by luck in one run only. */
export const CASES = { TEST_SEED: '21', SIM_WALKS: '40', WG_FUZZ_RUNS: '100', WG_FUZZ_SEED: '21', PLAN_CHANGES: '60' };

/** Returns the test files of a folder of `src`, relative to the repository. */
export function testFiles(folder) {
  return FOLDERS[folder].tests.flatMap(filesOf).filter(file => !LEFT_OUT.includes(file));
}

function filesOf(folder) {
  if (folder.endsWith('.ts')) return [folder];
  return readdirSync(folder, { recursive: true })
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `${folder}/${name}`)
    .sort();
}
