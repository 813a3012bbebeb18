/**
 * `npm run bench -- calico-size`: what a cluster costs the agent on each node, by its size: time of
 * a plan for one change, memory, and the share of a core at 100 changes a second. Each row is a
 * process of its own (worker.ts) and checks its plans against those of a new planner.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Progress } from '../progress.ts';
import { table } from '../table.ts';
import type { SizeOrder, SizeRow } from './worker.ts';

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));
const SIZES = [1000, 5000, 10_000];
const MODES: readonly (readonly [string, Omit<SizeOrder, 'nodes' | 'seconds'>])[] = [
  ['IPv4', { families: [4], failClosed: false }],
  ['IPv4 and IPv6', { families: [4, 6], failClosed: false }],
  ['IPv4, fail-closed', { families: [4], failClosed: true }],
];

/** Runs all sizes, or with `quick` the smallest one for a few seconds. */
export function runCalicoSize({ quick }: { readonly quick: boolean }): SizeRow[] {
  const orders = (quick ? [SIZES[0]!] : SIZES).flatMap(nodes =>
    MODES.map(([mode, rest]) => ({ mode, order: { ...rest, nodes, seconds: quick ? 2 : 20 } })),
  );
  const progress = new Progress(orders.length);
  const rows: SizeRow[] = [];
  const lines = [
    [
      'nodes',
      '',
      'plan, ms (median)',
      'p95',
      'worst',
      'read, ms',
      'first plan, s',
      'resident, MB',
      'peak, MB',
      'CPU at 100/s',
    ],
  ];
  for (const { mode, order } of orders) {
    const title = `${order.nodes} nodes, ${mode}`;
    progress.begin(title);
    const row = measure(order);
    rows.push(row);
    progress.end(title, `${row.planMs.median.toFixed(2)} ms a change, ${row.residentMb.toFixed(0)} MB`);
    lines.push([
      order.nodes.toLocaleString('en'),
      mode,
      ...[row.planMs.median, row.planMs.p95, row.planMs.worst, row.readMs.median].map(value => value.toFixed(2)),
      (row.firstMs / 1000).toFixed(1),
      row.residentMb.toFixed(0),
      row.peakMb.toFixed(0),
      `${(100 * row.cpuShare).toFixed(1)} %`,
    ]);
  }
  progress.finish();
  process.stdout.write(table(lines));
  return rows;
}

function measure(order: SizeOrder): SizeRow {
  const args = ['--expose-gc', WORKER, JSON.stringify(order)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${order.nodes} nodes: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as SizeRow;
}
