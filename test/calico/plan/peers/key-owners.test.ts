/** A key that several nodes publish stays with the first one, whatever a copy does. */
import { describe, expect, test } from 'vitest';
import type { ClusterNode } from '../../../../src/calico/model/cluster.ts';
import { cluster, keyBytes, peersOf, planOf, reasonsOf } from '../../../support/calico-cluster.ts';
import { enabled, keyOf, MODES, member, per } from '../../../support/calico-families.ts';

describe.each(MODES)('$mode', ({ families }) => {
  const on = enabled(families);
  const me = member(families, 'me', 1);
  const created = (made: ClusterNode, day: number): ClusterNode => ({
    ...made,
    creationTimestamp: `2026-01-0${day}T00:00:00Z`,
  });
  const victim = created(member(families, 'victim', 2), 5);
  const copies = (day: number, name = 'copy'): ClusterNode =>
    created(member(families, name, 3, { key: victim.publicKey }), day);
  const remembered = (name: string) => ({
    keyOwners: per(families, family => new Map([[keyOf(family, 2), name]])),
  });
  const peers = (result: ReturnType<typeof planOf>): readonly string[] => [
    ...new Set(families.flatMap(family => Object.keys(peersOf(result.desired, family)))),
  ];

  test('without memory, the older Node keeps it, whatever its name', () => {
    for (const name of ['a-copy', 'z-copy']) {
      const late = planOf(cluster(on, me, victim, copies(6, name)));
      expect(peers(late)).toEqual(['victim']);
      expect(reasonsOf(late)).toEqual(families.map(() => `Node/${name} DuplicatePublicKey`));
      expect(late.problems[0]!.message).toContain('belongs to node "victim"');
    }
    // The limit of this rule: a copy by an older node, before this agent has seen either.
    expect(peers(planOf(cluster(on, me, victim, copies(4))))).toEqual(['copy']);
  });

  test('with memory, the first node keeps it, however old the other is', () => {
    const result = planOf(cluster(on, me, victim, copies(1)), remembered('victim'));
    expect(peers(result)).toEqual(['victim']);
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/copy DuplicatePublicKey'));
  });

  test('while the first node has no key for a moment, as after a start of Felix, no other node gets it', () => {
    const bare = { ...victim, publicKey: {} };
    const result = planOf(cluster(on, me, bare, copies(1)), remembered('victim'));
    expect(peers(result)).toEqual([]);
    expect(reasonsOf(result)).toEqual(families.map(() => 'Node/copy DuplicatePublicKey'));
  });

  test('a first node that is gone, or has another key, does not keep it', () => {
    expect(peers(planOf(cluster(on, me, copies(6)), remembered('victim')))).toEqual(['copy']);
    const rotated = { ...victim, publicKey: per(families, family => keyOf(family, 9)) };
    expect(peers(planOf(cluster(on, me, rotated, copies(6)), remembered('victim')))).toEqual(['copy', 'victim']);
  });

  test("this node's own key makes no node a peer, however old or remembered", () => {
    const own = { ownPublicKey: per(families, family => keyBytes(family === 4 ? 2 : 1002)) };
    for (const name of ['copy', 'victim', 'me']) {
      const result = planOf(cluster(on, me, victim, copies(1)), { ...own, ...remembered(name) });
      expect(peers(result)).toEqual([]);
      expect(result.problems.every(({ message }) => message.includes('belongs to node "me"'))).toBe(true);
    }
  });
});
