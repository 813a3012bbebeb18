/**
 * Runs the agent's data path without a machine: objects as JSON, datastore, planner, and the
 * differences that the applier would carry out. Started by main.ts in a process of its own for each
 * size, because what it measures is this process's memory.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterCache } from '#dist/calico/datastore/cluster-cache.js';
import { DEFAULT_OPTIONS } from '#dist/calico/plan/config/options.js';
import type { Plan, PlanInput } from '#dist/calico/plan/input.js';
import { Planner, plan } from '#dist/calico/plan/planner.js';
import { limitHeapGrowth } from '#dist/io/heap-growth.js';
import { percentile } from '../statistics.ts';
import { type Change, GeneratedCluster } from './generated-cluster.ts';
import type { Family } from './objects.ts';

export interface SizeOrder {
  readonly nodes: number;
  readonly families: readonly Family[];
  readonly failClosed: boolean;
  readonly seconds: number;
}

export interface SizeRow extends SizeOrder {
  readonly peers: number;
  readonly routes: number;
  /** Milliseconds from the first object to the first plan. */
  readonly firstMs: number;
  readonly firstPlanMs: number;
  /** Milliseconds of the planner, for each change that the planner has to see. */
  readonly planMs: Percentiles;
  /** Milliseconds to parse one changed object and to take it into the cluster. */
  readonly readMs: Percentiles;
  /** Shares of one core at 100 changes a second. */
  readonly cpuShare: number;
  readonly residentMb: number;
  /** The highest until the first plan was made. */
  readonly peakMb: number;
  readonly heapMb: number;
}

export interface Percentiles {
  readonly median: number;
  readonly p95: number;
  readonly worst: number;
}

const BLOCKS = 5;
const CHANGES = 600;
const PER_SECOND = 100;
/** The datastore tells the agent of changes at most this often. */
const TURN_MS = 50;
const CHECKED = 150;

const order = JSON.parse(process.argv[2]!) as SizeOrder;
process.stdout.write(`${JSON.stringify(await measure(order))}\n`);

async function measure({ nodes, families, failClosed, seconds }: SizeOrder): Promise<SizeRow> {
  limitHeapGrowth();
  const generated = new GeneratedCluster({ nodes, blocksPerNode: BLOCKS, families, seed: 1 });
  const cache = new ClusterCache(true);
  const planner = new Planner();
  const input = (): PlanInput => ({
    cluster: cache.cluster,
    nodeName: generated.ownName,
    environment: {},
    facts: { links: [{ name: 'eth0', mtu: 1500, up: true }], aks: false },
    ownPublicKey: {},
    options: { ...DEFAULT_OPTIONS, failClosed },
  });
  const began = performance.now();
  for (const { kind, object } of generated.objects())
    cache.set(kind, cache.read(kind, JSON.parse(JSON.stringify(object))));
  const planBegan = performance.now();
  let last = planner.plan(input());
  const firstPlanMs = performance.now() - planBegan;
  const firstMs = performance.now() - began;
  // Later on, this process also makes whole plans to compare with.
  const peakMb = statusMb('VmHWM');

  const [planned, read]: [number[], number[]] = [[], []];
  for (let i = 0; planned.length < CHANGES; i++) {
    const change = generated.next();
    const text = JSON.stringify(change.object);
    const readBegan = performance.now();
    take(cache, change, text);
    const before = last;
    const { cluster } = cache;
    read.push(performance.now() - readBegan);
    const one = { ...input(), cluster };
    const planBegan = performance.now();
    last = planner.plan(one);
    if (change.of !== 'heartbeat') planned.push(performance.now() - planBegan);
    if (i % CHECKED === 0) check(last, plan(one), before);
  }
  globalThis.gc?.();
  await sleep(500);
  const heapMb = process.memoryUsage().heapUsed / 2 ** 20;
  const residentMb = statusMb('VmRSS');
  const cpuShare = await load(seconds, generated, cache, () => void planner.plan(input()));
  const tunnels = Object.values(last.desired.tunnels);
  return {
    nodes,
    families,
    failClosed,
    seconds,
    peers: tunnels.reduce((sum, { peers }) => sum + peers.size, 0),
    routes: tunnels.reduce((sum, { routes }) => sum + routes.size, 0),
    firstMs,
    firstPlanMs,
    planMs: percentiles(planned),
    readMs: percentiles(read),
    cpuShare,
    residentMb,
    peakMb,
    heapMb,
  };
}

/** Runs turns while changes arrive, and returns the share of a core that they take. */
async function load(
  seconds: number,
  generated: GeneratedCluster,
  cache: ClusterCache,
  turn: () => void,
): Promise<number> {
  const changes = Array.from({ length: seconds * PER_SECOND }, () => {
    const change = generated.next();
    return { change, text: JSON.stringify(change.object) };
  });
  const { user, system } = process.cpuUsage();
  const began = performance.now();
  let done = 0;
  let known = cache.cluster;
  while (done < changes.length) {
    await sleep(TURN_MS);
    const due = Math.min(changes.length, Math.floor(((performance.now() - began) / 1000) * PER_SECOND));
    for (; done < due; done++) take(cache, changes[done]!.change, changes[done]!.text);
    if (cache.cluster !== known) turn();
    known = cache.cluster;
  }
  const used = process.cpuUsage({ user, system });
  return (used.user + used.system) / 1000 / (performance.now() - began);
}

function take(cache: ClusterCache, { type, kind }: Change, text: string): void {
  const object = cache.read(kind, JSON.parse(text));
  if (type === 'set') cache.set(kind, object);
  else cache.delete(kind, object.key!);
}

/** Throws if a plan is not what a new planner makes. */
function check(one: Plan, fresh: Plan, before: Plan): void {
  for (const [family, tunnel] of Object.entries(fresh.desired.tunnels)) {
    const other = one.desired.tunnels[Number(family) as Family];
    if (other?.peers.size !== tunnel.peers.size || other.routes.size !== tunnel.routes.size)
      throw new Error(
        `the plan has other peers or routes than a new one, after ${Object.keys(before.desired.tunnels)}`,
      );
  }
}

function percentiles(values: readonly number[]): Percentiles {
  return { median: percentile(values, 50), p95: percentile(values, 95), worst: Math.max(...values) };
}

function statusMb(field: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) / 1024;
}
