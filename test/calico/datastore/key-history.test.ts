/** Who published a key first, through changes, lists, deletions and restarts. */
import { describe, expect, test } from 'vitest';
import { ClusterCache } from '../../../src/calico/datastore/cluster-cache.ts';
import { KeyHistory } from '../../../src/calico/datastore/key-history.ts';
import type { ClusterNode } from '../../../src/calico/model/cluster.ts';
import { key, node } from '../../support/calico-cluster.ts';

const [K1, K2, K3] = [key(1), key(2), key(3)];
const at = (name: string, text: string | undefined, day = 1): ClusterNode => ({
  ...node(name, text === undefined ? {} : { key: { 4: text } }),
  creationTimestamp: `2026-01-0${day}T00:00:00Z`,
});
const listed = (...nodes: readonly ClusterNode[]): KeyHistory => {
  const history = new KeyHistory(4);
  history.setAll(nodes);
  return history;
};
const owners = (history: KeyHistory): object => Object.fromEntries(history.owners);

test('the first to publish a key in a watch owns it, not the oldest', () => {
  const history = listed(at('old', K2, 1));
  history.set(at('victim', K1, 9));
  history.set(at('old', K1, 1));
  expect(owners(history)).toEqual({ [K1]: 'victim' });
});

test('in a list, the oldest owns it', () => {
  expect(owners(listed(at('a', K1, 5), at('b', K1, 2), at('c', K1, 9)))).toEqual({ [K1]: 'b' });
});

test('a later list changes no owner', () => {
  const history = listed(at('victim', K1, 9));
  history.setAll([at('copy', K1, 1), at('victim', K1, 9)]);
  expect(owners(history)).toEqual({ [K1]: 'victim' });
});

test('an owner keeps its key while the annotation is absent or invalid', () => {
  const history = listed(at('victim', K1));
  for (const text of [undefined, 'bad', key(0).replace(/^.*$/, `${'A'.repeat(43)}=`)]) {
    history.set(at('victim', text));
    history.set(at('copy', K1));
    history.set(at('victim', K1));
    expect(owners(history)).toEqual({ [K1]: 'victim' });
    history.set(at('copy', K2));
  }
});

test('a key that its owner replaces is free, and its new key is its own', () => {
  const history = listed(at('victim', K1));
  history.set(at('copy', K1));
  history.set(at('victim', K2));
  expect(owners(history)).toEqual({ [K1]: 'copy', [K2]: 'victim' });
  // A node that comes back later is second.
  history.set(at('victim', K1));
  expect(owners(history)).toEqual({ [K1]: 'copy' });
});

test('the key of a deleted Node passes to who has published it longest', () => {
  const history = listed(at('victim', K1));
  history.set(at('z', K1));
  history.set(at('a', K1));
  history.delete('victim');
  expect(owners(history)).toEqual({ [K1]: 'z' });
  history.delete('z');
  expect(owners(history)).toEqual({ [K1]: 'a' });
  history.delete('a');
  expect(owners(history)).toEqual({});
});

describe('after a restart', () => {
  test('what was remembered is older than all that is seen', () => {
    const history = new KeyHistory(4);
    history.remember(new Map([[K1, 'victim']]));
    history.setAll([at('copy', K1, 1), at('victim', K1, 9)]);
    expect(owners(history)).toEqual({ [K1]: 'victim' });
  });

  test('also if the owner has no key at that moment', () => {
    const history = new KeyHistory(4);
    history.remember(new Map([[K1, 'victim']]));
    history.setAll([at('copy', K1, 1), at('victim', undefined, 9)]);
    expect(owners(history)).toEqual({ [K1]: 'victim' });
  });

  test('but not if its Node is gone, or has another key', () => {
    const history = new KeyHistory(4);
    history.remember(
      new Map([
        [K1, 'gone'],
        [K2, 'rotated'],
      ]),
    );
    // Files that are not read yet look like an empty list.
    history.setAll([]);
    expect(history.owners.size).toBe(2);
    history.setAll([at('x', K1), at('rotated', K3), at('y', K2)]);
    expect(owners(history)).toEqual({ [K1]: 'x', [K2]: 'y', [K3]: 'rotated' });
  });
});

test('what is remembered late, after a first list, overrides that list', () => {
  const history = listed(at('copy', K1, 1), at('victim', K1, 9), at('rotated', K3, 9), at('other', K2, 1));
  history.remember(
    new Map([
      [K1, 'victim'],
      [K2, 'gone'],
      [key(7), 'rotated'],
    ]),
  );
  expect(owners(history)).toEqual({ [K1]: 'victim', [K2]: 'other', [K3]: 'rotated' });
  history.delete('victim');
  expect(owners(history)).toEqual({ [K1]: 'copy', [K2]: 'other', [K3]: 'rotated' });
});

test('keys are compared as Go decodes them', () => {
  const history = listed(at('victim', K1));
  history.set(at('copy', `${K1.slice(0, 20)}\r\n${K1.slice(20)}`));
  expect(owners(history)).toEqual({ [K1]: 'victim' });
});

test('the cache feeds both families in the order of events', () => {
  const cache = new ClusterCache(true);
  let version = 0;
  const object = (name: string, text: string, day: number) =>
    cache.read('Node', {
      metadata: {
        name,
        uid: name,
        resourceVersion: String(++version),
        creationTimestamp: `2026-01-0${day}T00:00:00Z`,
        annotations: { 'projectcalico.org/WireguardPublicKey': text, 'projectcalico.org/WireguardPublicKeyV6': text },
      },
    });
  cache.rememberKeyOwners({ 4: new Map([[K3, 'kept']]), 6: new Map() });
  cache.replace('Node', [object('old', K2, 1), object('kept', K3, 3), object('copy', K3, 2)]);
  const { keyOwners } = cache;
  expect(keyOwners[4]!.get(K3)).toBe('kept');
  expect(keyOwners[6]!.get(K3)).toBe('copy');
  expect(cache.keyOwners).toBe(keyOwners);
  cache.set('Node', object('victim', K1, 9));
  cache.set('Node', object('old', K1, 1));
  for (const family of [4, 6] as const) expect(cache.keyOwners[family]!.get(K1)).toBe('victim');
  expect(keyOwners[4]!.has(K1)).toBe(false);
  cache.delete('Node', 'victim');
  expect(cache.keyOwners[4]!.get(K1)).toBe('old');
  cache.replace('Node', [object('kept', K3, 3)]);
  expect([...cache.keyOwners[4]!]).toEqual([[K3, 'kept']]);
});
