/**
 * A node of a large cluster: an agent beside a real API server with thousands of nodes, from the
 * start of its process until every node is a peer. WGTS_SIZE_NODES=5000 measures; by default the
 * cluster is small, and the test says that everything arrives.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GeneratedCluster } from '#dist/bench/calico/generated-cluster.js';
import { DEFAULT_OPTIONS } from '../../src/calico/plan/config/options.ts';
import { run, sleep } from '../netns/command.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';
import { HANG_MS } from '../support/patience.ts';
import { describeCluster } from './control-plane.ts';
import { Filling } from './filling.ts';
import { ClusterLab } from './lab.ts';

const NODES = Number(process.env['WGTS_SIZE_NODES'] ?? 100);
const BLOCKS = 5;
const NEEDS = ['root', 'tun', 'ip', 'sysctl', 'tcpdump', 'nft', 'wg', 'unshare'] as const;
const LIMIT_MS = 3_000_000;

describeCluster('size', () => inOwnNamespace(import.meta.url, NEEDS, body, { limit: LIMIT_MS, show: 'size:' }));

function body(): void {
  const say = (text: string): void => console.log(`size: ${text}`);
  let lab: ClusterLab;
  let filling: Filling;
  let generated: GeneratedCluster;

  beforeAll(async () => {
    lab = await ClusterLab.start([4]);
    filling = new Filling(lab.plane);
    generated = new GeneratedCluster({ nodes: NODES, blocksPerNode: BLOCKS, families: [4], seed: 1 });
    const began = Date.now();
    const count = await filling.create(others(generated));
    say(`${count} objects created in ${seconds(began)}`);
    await lab.felix({ wireguardEnabled: true });
    await lab.addNode(1);
    await lab.addBlocks(1);
  }, LIMIT_MS);
  afterAll(async () => {
    filling?.close();
    await lab?.close();
  }, LIMIT_MS);

  test(
    'from the start of the agent to all pairs',
    async () => {
      const node = lab.node(1);
      for (const start of ['first', 'second']) {
        const began = Date.now();
        lab.startAgent(node);
        while ((await lab.ready(node))?.ready !== true) {
          if (Date.now() - began > HANG_MS || node.agent!.result()) throw new Error(readFileSync(node.log, 'utf8'));
          await sleep(100);
        }
        const took = seconds(began);
        const name = DEFAULT_OPTIONS.interfaceNames[4];
        const { stdout: allowed } = await run(lab.inside(node, ['wg', 'show', name, 'allowed-ips']));
        const peers = allowed.trim().split('\n');
        const prefixes = peers.flatMap(line => line.split('\t')[1]!.split(' '));
        const { stdout: routes } = await run(lab.inside(node, ['ip', 'route', 'show', 'table', 'all', 'dev', name]));
        const tunnelled = routes.split('\n').filter(line => /^10\./.test(line));
        const memory = processesOf(node.agent!.pid).map(
          ({ command, resident, peak, cpu }) => `${command} ${resident} MB (peak ${peak} MB), ${cpu} s of CPU`,
        );
        say(
          `${start} start, ${NODES} nodes: ${peers.length} peers, ${prefixes.length} allowed IPs, ${tunnelled.length} routes after ${took}; ${memory.join(', ')}`,
        );
        expect(peers).toHaveLength(NODES);
        expect(prefixes).toHaveLength(NODES * (BLOCKS + 1));
        expect(tunnelled.length).toBeGreaterThanOrEqual(NODES * (BLOCKS + 1));
        await node.agent!.stop('SIGTERM');
      }
    },
    LIMIT_MS,
  );
}

/** The generated objects without what the laboratory has itself. */
function* others(generated: GeneratedCluster): Generator<ReturnType<GeneratedCluster['next']> | never> {
  for (const each of generated.objects())
    if (each.kind !== 'FelixConfiguration') yield each as ReturnType<GeneratedCluster['next']>;
}

interface Usage {
  readonly command: string;
  readonly resident: string;
  readonly peak: string;
  readonly cpu: string;
}

/** The Node processes in the network namespace of a process: the agent and its device. */
function processesOf(pid: number): readonly Usage[] {
  const namespace = readlinkSync(`/proc/${pid}/ns/net`);
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        if (readlinkSync(`/proc/${name}/ns/net`) !== namespace) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        const program = command.find(each => /(wgts|wireguard-ts)(\.cjs)?$/.test(each));
        if (program === undefined) return [];
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        const read = (field: string) =>
          (Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024).toFixed(0);
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ');
        const cpu = ((Number(stat[11]) + Number(stat[12])) / 100).toFixed(1);
        return [{ command: program.split('/').at(-1)!, resident: read('VmRSS'), peak: read('VmHWM'), cpu }];
      } catch {
        return [];
      }
    });
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}
