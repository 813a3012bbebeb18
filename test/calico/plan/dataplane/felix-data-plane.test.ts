/**
 * Settings of Felix's data plane that affect the tunnel
 * (docs/reference/calico-felix.md#related-parameters, #firewall, #ebpf).
 */
import { expect, test } from 'vitest';
import type { Family } from '../../../../src/base/family.ts';
import { DEFAULT_OPTIONS } from '../../../../src/calico/plan/config/options.ts';
import { clusterDataPlaneProblems } from '../../../../src/calico/plan/dataplane/felix-data-plane.ts';
import type { Plan } from '../../../../src/calico/plan/input.ts';
import {
  cluster,
  configuration,
  peersOf,
  planOf,
  reasonsOf,
  routesOf,
  tunnelOf,
} from '../../../support/calico-cluster.ts';
import { blocksOf, enabled, member } from '../../../support/calico-families.ts';

const of = (
  more: Readonly<Record<string, string | boolean>>,
  failClosed = false,
  families: readonly Family[] = [4, 6],
): Plan =>
  planOf(
    cluster(
      member([4, 6], 'me', 1),
      member([4, 6], 'a', 2),
      ...blocksOf([4, 6], 1, 'me'),
      ...blocksOf([4, 6], 2, 'a'),
      enabled(families, more),
    ),
    { options: { ...DEFAULT_OPTIONS, failClosed } },
  );

test('bpfEnabled is reported with the affected versions and the remedy, and changes nothing else', () => {
  const { desired, problems } = of({ BPFEnabled: true });
  expect(problems).toEqual([
    {
      object: 'FelixConfiguration',
      reason: 'EbpfDataPlane',
      message: expect.stringMatching(/3\.32\.0 and 3\.32\.1 .* 3\.32\.2 .*bpfL3IfacePattern/),
    },
  ]);
  expect(desired).toEqual(of({}).desired);
  // Without a tunnel there is nothing to report.
  expect(reasonsOf(of({ BPFEnabled: true }, false, []))).toEqual([]);
});

test('routeSyncDisabled removes the routes, as in Felix; peers and tunnel stay', () => {
  const plan = of({ RouteSyncDisabled: true });
  for (const family of [4, 6] as const) {
    expect(routesOf(plan.desired, family)).toEqual([]);
    expect(peersOf(plan.desired, family)).toEqual(peersOf(of({}).desired, family));
    expect(routesOf(of({}).desired, family)).not.toEqual([]);
  }
  expect(reasonsOf(plan).join()).toContain('RouteSyncDisabled');
});

test('routeSyncDisabled with --fail-closed keeps sealing', () => {
  const plan = of({ RouteSyncDisabled: true }, true);
  expect(routesOf(plan.desired, 4)).toEqual([]);
  expect(tunnelOf(plan.desired, 4).firewall.sealed).toEqual(tunnelOf(of({}, true).desired, 4).firewall.sealed);
  expect(tunnelOf(plan.desired, 4).firewall.sealed).not.toEqual([]);
});

test('flow tables that bypass nftables are reported only with --fail-closed', () => {
  const reasons = (more: Readonly<Record<string, string>>, failClosed: boolean): string =>
    reasonsOf(of(more, failClosed)).join();
  expect(reasons({ NFTablesFlowTableOffload: 'all' }, true)).toContain('FlowTableOffload');
  expect(reasons({ NFTablesFlowTableOffload: 'All' }, false)).toBe('');
  expect(reasons({ NFTablesFlowTableOffload: 'Disabled' }, true)).toBe('');
  expect(reasons({}, true)).toBe('');
});

test.each(['Disabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly', 'Enabled'])(
  'programClusterRoutes %s concerns the main table and does not change the plan',
  ProgramClusterRoutes => {
    for (const NFTablesMode of ['Auto', 'Enabled', 'Disabled']) {
      const { desired, problems } = of({ ProgramClusterRoutes, NFTablesMode });
      expect(desired).toEqual(of({}).desired);
      expect(problems).toEqual([]);
    }
  },
);

test('of a whole cluster, each FelixConfiguration that causes a warning is named, in order', () => {
  const problems = clusterDataPlaneProblems([
    configuration('default', { BPFEnabled: 'Yes' }),
    configuration('node.a', { BPFEnabled: false, RouteSyncDisabled: 'off' }),
    configuration('node.b', { RouteSyncDisabled: true, BPFEnabled: 'true' }),
    configuration('node.c', {}),
  ]);
  expect(problems.map(({ object, reason }) => `${object} ${reason}`)).toEqual([
    'FelixConfiguration/default EbpfDataPlane',
    'FelixConfiguration/node.b EbpfDataPlane',
    'FelixConfiguration/node.b RouteSyncDisabled',
  ]);
  expect(problems[0]!.message).toMatch(/^bpfEnabled is true\./);
  expect(problems[2]!.message).toMatch(/^routeSyncDisabled is true,/);
  expect(clusterDataPlaneProblems([])).toEqual([]);
});
