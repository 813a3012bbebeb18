/** What agents remember of the cluster: on disk, with hostile content ignored. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateDirectory } from '../../../../src/calico/apply/state/state-directory.ts';
import { TrustFile } from '../../../../src/calico/apply/state/trust-file.ts';
import { key, prefix } from '../../../support/calico-cluster.ts';

let folder: string;
let warned: string[];
let file: TrustFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-trust-'));
  warned = [];
  const warn = (text: string): void => void warned.push(text);
  file = new TrustFile(new StateDirectory(folder, warn), warn);
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (text: string): void => writeFileSync(join(folder, 'trust.json'), text, { mode: 0o600 });
const NOTHING = { keyOwners: { 4: new Map(), 6: new Map() }, pools: [] };

test('is read as it was written, also with 10,000 nodes', () => {
  expect(file.read()).toEqual({ keyOwners: {}, pools: [] });
  const owners = new Map(Array.from({ length: 10_000 }, (_, i) => [key(i), `a-node-with-a-long-name-${i}.example`]));
  const pools = [
    { cidr: prefix('10.0.0.0/16'), blockSize: 26 },
    { cidr: prefix('fd00::/48'), blockSize: 122 },
  ];
  file.write({ keyOwners: { 4: owners, 6: new Map([[key(1), 'b']]) }, pools });
  expect(file.read()).toEqual({ keyOwners: { 4: owners, 6: new Map([[key(1), 'b']]) }, pools });
  expect(statSync(join(folder, 'trust.json')).mode & 0o777).toBe(0o600);
  expect(warned).toEqual([]);
});

test.each(['null', '[]', '7', '{"keys": 7, "pools": {}}', '{"keys": {"4": [1]}, "pools": [1, null]}'])(
  '%s holds nothing',
  text => {
    put(text);
    expect(file.read()).toEqual(NOTHING);
  },
);

test('entries that are not valid are dropped, and the others count', () => {
  const keys = { [key(1)]: 'a', 'not a key': 'b', [key(2)]: 7, [key(3)]: '', [key(4)]: 'x'.repeat(300) };
  const pools = [
    '10.0.0.0/8',
    { cidr: 'x', blockSize: 26 },
    { cidr: '10.0.0.0/16', blockSize: 8 },
    { cidr: '10.0.0.0/16', blockSize: 26 },
  ];
  put(JSON.stringify({ keys: { 4: keys, __proto__: 1 }, pools }));
  expect(file.read()).toEqual({
    keyOwners: { 4: new Map([[key(1), 'a']]), 6: new Map() },
    pools: [{ cidr: prefix('10.0.0.0/16'), blockSize: 26 }],
  });
});

test('a file that cannot be read is named, and replaced by the next write', () => {
  put('{');
  expect(file.read()).toEqual({ keyOwners: {}, pools: [] });
  expect(warned).toEqual([expect.stringContaining('trust.json')]);
  file.write({ keyOwners: {}, pools: [] });
  expect(file.read()).toEqual(NOTHING);
});
