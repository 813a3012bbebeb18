/**
 * What agents cost an API server: requests and bytes at the start, for each change and while
 * nothing changes, and the server's time. WGTS_LOAD_NODES and WGTS_LOAD_AGENTS set the size; by
 * default it is small, and the test says that each page is asked for once. Beyond 50 agents (or
 * WGTS_LOAD_DATASTORES) the rest are readers, which ask for the same and keep nothing.
 * WGTS_LOAD_DATASTORE measures another build's datastore.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cause, GeneratedCluster } from '#dist/bench/calico/generated-cluster.js';
import { sleep } from '../netns/command.ts';
import { Administrator } from './administrator.ts';
import { calicoCrds } from './calico-crds.ts';
import { type ControlPlane, describeCluster, startControlPlane } from './control-plane.ts';
import { Filling } from './filling.ts';
import { GROUP } from './objects.ts';
import { withOverlay } from './overlay.ts';

const NODES = Number(process.env['WGTS_LOAD_NODES'] ?? 30);
const AGENTS = Number(process.env['WGTS_LOAD_AGENTS'] ?? 8);
/** Agents with a datastore. */
const DATASTORES = Math.min(AGENTS, Number(process.env['WGTS_LOAD_DATASTORES'] ?? (AGENTS > 50 ? 50 : 5)));
const READERS = AGENTS - DATASTORES;
/** A process may have 20,000 open files, and a reader has three for each of its watches. */
const READERS_OF_A_PROCESS = 250;
const CHANGES = Number(process.env['WGTS_LOAD_CHANGES'] ?? 5);
const IDLE_S = Number(process.env['WGTS_LOAD_IDLE_SECONDS'] ?? 2);
const BLOCKS = 5;
/** Bytes that an agent receives in a second while nothing changes, at most. */
const BOOKMARKS = 200;
const LIMIT_MS = 3_000_000;
const AGENTS_PROGRAM = fileURLToPath(new URL('api-load-agents.mjs', import.meta.url));
const READERS_PROGRAM = fileURLToPath(new URL('api-load-readers.mjs', import.meta.url));
const DATASTORE =
  process.env['WGTS_LOAD_DATASTORE'] ??
  fileURLToPath(new URL('../../dist/calico/datastore/api/datastore.js', import.meta.url));

interface Report {
  readonly synced: number;
  /** Requests of readers that were refused or not answered, and sent again. */
  readonly failed: number;
  readonly bytes: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly cpuSeconds: number;
}

describeCluster('load on an API server', () => {
  const say = (text: string): void => void process.stderr.write(`load: ${text}\n`);
  let plane: ControlPlane;
  let filling: Filling;
  let generated: GeneratedCluster;
  let kubeconfig: string;
  const agents = new Agents();

  beforeAll(async () => {
    plane = await startControlPlane();
    filling = new Filling(plane);
    await plane.apply(...calicoCrds(GROUP));
    generated = new GeneratedCluster({ nodes: NODES, blocksPerNode: BLOCKS, families: [4], seed: 1 });
    await filling.create(generated.objects());
    // The server lets an administrator pass all its limits, but not a service account.
    const kubectl = await Administrator.of(plane);
    withOverlay('manifest-install', [], folder => kubectl.ask(['apply', '-k', folder]));
    const token = kubectl.ask(['create', 'token', 'wireguard-ts', '-n', 'kube-system', '--duration=10h']).trim();
    kubeconfig = plane.kubeconfigFor(token, 'agent');
  }, LIMIT_MS);
  afterAll(async () => {
    agents.end();
    filling?.close();
    await plane?.stop();
  }, LIMIT_MS);

  test(
    'a start of agents at once',
    async () => {
      const report = await started('agents', DATASTORES, () =>
        agents.add(DATASTORES, [AGENTS_PROGRAM, DATASTORE, kubeconfig]),
      );
      // In pages of 500, once.
      const lists = (plural: string) => report.requests[`GET /apis/${GROUP}/${plural}`] ?? 0;
      expect(report.requests['GET /api/v1/nodes']).toBe(Math.ceil(NODES / 500) * DATASTORES);
      expect(lists('ipamblocks')).toBe(Math.ceil((NODES * BLOCKS) / 500) * DATASTORES);
      expect(lists('felixconfigurations')).toBe(DATASTORES);
      expect(lists('ippools')).toBe(DATASTORES);
    },
    LIMIT_MS,
  );

  test(
    'a start of readers at once: they ask for what agents ask for',
    async () => {
      const before = await agents.report();
      const ofOne = Object.entries(before.requests).map(([name, times]) => [name, Math.round(times / DATASTORES)]);
      const last = JSON.stringify(Object.fromEntries(ofOne));
      await started('readers', READERS, () => {
        for (let left = READERS; left > 0; left -= READERS_OF_A_PROCESS)
          agents.add(Math.min(left, READERS_OF_A_PROCESS), [READERS_PROGRAM, DATASTORE, kubeconfig], [last]);
      });
      const after = await agents.report();
      const [anAgent, aReader] = [before.bytes / DATASTORES, (after.bytes - before.bytes) / READERS];
      expect(Math.abs(aReader / anAgent - 1)).toBeLessThan(0.1);
    },
    LIMIT_MS,
  );

  test.each<Cause>(['heartbeat', 'key', 'allocation'])(
    'changes: %s',
    async cause => {
      const changes = Array.from({ length: CHANGES }, () => generated.next(cause));
      await settled();
      const [before, used] = [await agents.report(), usageOf(plane)];
      for (const change of changes) await filling.write(change);
      await settled();
      const [after, now] = [await agents.report(), usageOf(plane)];
      say(
        `${cause}: ${kilobytes((after.bytes - before.bytes) / CHANGES)} an agent and change; kube-apiserver ${((1000 * (now.apiServer - used.apiServer)) / CHANGES).toFixed(1)} ms of CPU a change`,
      );
      expect(after.bytes).toBeGreaterThan(before.bytes);
      expect(sum(after.requests) - sum(before.requests)).toBeLessThanOrEqual(2 * AGENTS);
    },
    LIMIT_MS,
  );

  test(
    'nothing changes',
    async () => {
      await settled();
      const before = await agents.report();
      await sleep(IDLE_S * 1000);
      const after = await agents.report();
      const hours = IDLE_S / 3600;
      say(
        `idle: ${kilobytes((after.bytes - before.bytes) / hours)} and ${per((sum(after.requests) - sum(before.requests)) / hours)} requests an agent and hour`,
      );
    },
    LIMIT_MS,
  );

  test(
    'the server restarts',
    async () => {
      const before = await agents.report();
      await plane.stopApiServer();
      await plane.startApiServer();
      const used = usageOf(plane);
      const began = Date.now();
      const watches = (report: Report) => report.requests['WATCH /api/v1/nodes'] ?? 0;
      let after = await agents.report();
      for (; watches(after) < watches(before) + AGENTS; after = await agents.report()) {
        if (Date.now() - began > LIMIT_MS / 2) throw new Error(JSON.stringify(after.requests));
        await sleep(200);
      }
      await settled();
      after = await agents.report();
      const now = usageOf(plane);
      const lists = (report: Report) => report.requests['GET /api/v1/nodes'] ?? 0;
      say(
        `restart of the server: ${per(sum(after.requests) - sum(before.requests))} requests and ${kilobytes(after.bytes - before.bytes)} an agent, ${per(lists(after) - lists(before))} of them lists of Nodes; kube-apiserver ${(now.apiServer - used.apiServer).toFixed(1)} s of CPU`,
      );
      // The server's memory begins anew, so it may refuse to continue a watch from before.
      expect(lists(after) - lists(before)).toBeLessThanOrEqual(2 * Math.ceil(NODES / 500) * AGENTS);
    },
    LIMIT_MS,
  );

  /** Starts agents, waits until all have read the cluster, and prints what it cost. */
  async function started(what: string, count: number, start: () => void): Promise<Report> {
    const [before, usedBefore] = [await agents.report(), usageOf(plane)];
    const began = performance.now();
    start();
    let report = await agents.report();
    for (; report.synced < before.synced + count; report = await agents.report()) {
      if (performance.now() - began > LIMIT_MS / 2) throw new Error(JSON.stringify(report));
      await sleep(200);
    }
    const took = (performance.now() - began) / 1000;
    const used = usageOf(plane);
    const each = (all: number) => (all / count).toFixed(1);
    say(
      `start of ${count} ${what}, ${NODES} nodes: ${took.toFixed(1)} s; ` +
        `${each(sum(report.requests) - sum(before.requests))} requests and ${each((report.bytes - before.bytes) / 1000)} kB for each, ${report.failed - before.failed} requests repeated; ` +
        `kube-apiserver ${(used.apiServer - usedBefore.apiServer).toFixed(1)} s of CPU, peak ${used.peakMb.toFixed(0)} MB (before ${usedBefore.peakMb.toFixed(0)} MB), etcd ${(used.etcd - usedBefore.etcd).toFixed(1)} s; ${what} ${(report.cpuSeconds - before.cpuSeconds).toFixed(1)} s`,
    );
    return report;
  }

  /** Waits until agents have received nothing but bookmarks for a second. */
  async function settled(): Promise<void> {
    let last = Number.NEGATIVE_INFINITY;
    for (let report = await agents.report(); report.bytes - last > BOOKMARKS * AGENTS; report = await agents.report()) {
      last = report.bytes;
      await sleep(1000);
    }
  }

  const per = (all: number): string => (all / AGENTS).toFixed(1);
  const kilobytes = (all: number): string => `${(all / AGENTS / 1000).toFixed(1)} kB`;
});

const sum = (requests: Report['requests']): number => Object.values(requests).reduce((a, b) => a + b, 0);

/** The processes that hold the agents' datastores, and the readers. */
class Agents {
  readonly #processes: { readonly child: ChildProcess; readonly lines: AsyncIterator<string> }[] = [];

  add(count: number, [program, ...first]: readonly [string, ...string[]], last: readonly string[] = []): void {
    const args = ['--max-old-space-size=12000', program, ...first, String(count), ...last];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#processes.push({ child, lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator]() });
  }

  /** Sums up what all have done so far. */
  async report(): Promise<Report> {
    const all = await Promise.all(
      this.#processes.map(async ({ child, lines }) => {
        child.stdin!.write('report\n');
        const { value, done } = await lines.next();
        if (done) throw new Error(`a process of agents ended with ${child.exitCode}`);
        return JSON.parse(value as string) as Report;
      }),
    );
    const requests: Record<string, number> = {};
    for (const each of all)
      for (const [name, times] of Object.entries(each.requests)) requests[name] = (requests[name] ?? 0) + times;
    const total = (field: 'synced' | 'failed' | 'bytes' | 'cpuSeconds') =>
      all.reduce((so, each) => so + each[field], 0);
    return {
      synced: total('synced'),
      failed: total('failed'),
      bytes: total('bytes'),
      cpuSeconds: total('cpuSeconds'),
      requests,
    };
  }

  end(): void {
    for (const { child } of this.#processes) child.kill('SIGKILL');
  }
}

/** CPU seconds of the servers so far, and the API server's peak of resident memory. */
function usageOf({ folder }: ControlPlane): {
  readonly apiServer: number;
  readonly etcd: number;
  readonly peakMb: number;
} {
  const used = { apiServer: 0, etcd: 0, peakMb: 0 };
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const program = /^\S*?(kube-apiserver|etcd)\0/.exec(command)?.[1];
      if (!program || !command.includes(folder)) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      const seconds = (Number(stat[11]) + Number(stat[12])) / 100;
      if (program === 'etcd') used.etcd += seconds;
      else {
        used.apiServer += seconds;
        used.peakMb = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
      }
    } catch {
      // The process ended while it was read.
    }
  return used;
}
