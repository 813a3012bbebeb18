/**
 * 20,000 hostile IPAM blocks in a real process with a small heap, and a third of the DaemonSet's
 * memory limit: the agent's part that reads and plans stays within it, keeps what honest nodes
 * have, and names the owners.
 *
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { key } from '../../support/calico-cluster.ts';

const GROUP = '/apis/crd.projectcalico.org/v1';
const BLOCKS = Number(process.env['HOSTILE_BLOCKS'] ?? 20_000);
const HEAP_MB = 300;
/** The DaemonSet's limit is 1 Gi. */
const LIMIT_MB = 512;
const TIME_MS = 600_000;
const PROGRAM = fileURLToPath(new URL('agent-memory.mjs', import.meta.url));
const DIST = fileURLToPath(new URL('../../../dist', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgts-hostile-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const metadata = (name: string, day = 2): object => ({
  name,
  uid: name,
  resourceVersion: '1',
  creationTimestamp: `2026-01-0${day}T00:00:00Z`,
});

function blockOf(cidr: string, owner: string, allocations: unknown, attributes: unknown, day = 2): object {
  const spec = { cidr, affinity: `host:${owner}`, allocations, unallocated: [], attributes, strictAffinity: false };
  return { metadata: metadata(cidr.replaceAll(/[.:/]/g, '-'), day), spec };
}

const attribute = (node: string, text: string): object => ({
  handle_id: `k8s-pod-network.${text}`,
  secondary: { node, namespace: 'default', pod: `pod-${text}` },
});
const FULL = Array.from({ length: 64 }, (_, i) => i);
/** A block whose 64 addresses 64 other nodes have. */
const lending = (cidr: string, owner: string, i: number): object =>
  blockOf(
    cidr,
    owner,
    FULL,
    FULL.map(each => attribute(`node-${(i + each) % 500}`, `${i}-${each}-${'0'.repeat(40)}`)),
  );
/** A block of 1.4 MB, nearly etcd's limit for an object. */
const huge = (cidr: string, owner: string): object =>
  blockOf(
    cidr,
    owner,
    Array.from({ length: 7000 }, (_, i) => i),
    Array.from({ length: 7000 }, (_, i) => attribute(`node-${i}`, 'x'.repeat(45))),
  );
const third = (i: number): string => `${i >> 10}.${(i >> 2) & 255}.${(i & 3) * 64}`;

/** Serves the objects of a cluster page by page; each page is made when it is asked for. */
async function serve(blocks: (i: number) => object, count: number): Promise<{ kubeconfig: string; close: () => void }> {
  const nodes = Array.from({ length: 500 }, (_, i) => ({
    metadata: {
      ...metadata(`node-${i}`, 1),
      annotations: {
        'projectcalico.org/IPv4Address': `172.16.${i >> 8}.${i & 255}/16`,
        'projectcalico.org/WireguardPublicKey': key(i + 1),
      },
    },
  }));
  const lists: Readonly<Record<string, readonly [number, (i: number) => object]>> = {
    '/api/v1/nodes': [nodes.length, i => nodes[i]!],
    [`${GROUP}/felixconfigurations`]: [1, () => ({ metadata: metadata('default'), spec: { wireguardEnabled: true } })],
    [`${GROUP}/ippools`]: [1, () => ({ metadata: metadata('pool'), spec: { cidr: '10.0.0.0/9', blockSize: 26 } })],
    [`${GROUP}/ipamblocks`]: [count, blocks],
  };
  const answer = (response: ServerResponse, url: URL): void => {
    response.setHeader('content-type', 'application/json');
    const list = lists[url.pathname];
    if (url.pathname === '/apis') {
      const [version] = [{ groupVersion: 'crd.projectcalico.org/v1', version: 'v1' }];
      response.end(JSON.stringify({ groups: [{ name: 'crd.projectcalico.org', versions: [version] }] }));
    } else if (url.pathname === GROUP)
      response.end(
        JSON.stringify({
          resources: ['felixconfigurations', 'ippools', 'ipamblocks', 'clusterinformations'].map(name => ({
            name,
            verbs: ['create', 'get', 'list', 'watch'],
          })),
        }),
      );
    else if (url.searchParams.has('watch')) response.writeHead(200).flushHeaders();
    else {
      const [length, make] = list ?? [0, () => ({})];
      const from = Number(url.searchParams.get('continue') ?? 0);
      const to = Math.min(length, from + Number(url.searchParams.get('limit') ?? length));
      const items = Array.from({ length: to - from }, (_, i) => make(from + i));
      const more = to < length ? { continue: String(to) } : {};
      response.end(JSON.stringify({ metadata: { resourceVersion: '1', ...more }, items }));
    }
  };
  const server = createServer((request, response) => answer(response, new URL(request.url!, 'http://localhost')));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return { kubeconfig, close: () => closeServer(server) };
}

function closeServer(server: Server): void {
  server.closeAllConnections();
  server.close();
}

interface Report {
  readonly blocks: number;
  readonly routes: number;
  readonly allowedIps: readonly (readonly [string, number])[];
  readonly problems: readonly string[];
  readonly peakMb: number;
}

async function read(blocks: (i: number) => object, count: number): Promise<Report> {
  const { kubeconfig, close } = await serve(blocks, count);
  try {
    const argv = [`--max-old-space-size=${HEAP_MB}`, PROGRAM, DIST, kubeconfig, String(count)];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', text => (out += String(text)));
    child.stderr.on('data', text => (err += String(text)));
    const status = await new Promise(resolve => child.on('close', (code, signal) => resolve(signal ?? code)));
    expect([status, err.slice(-2000)]).toEqual([0, '']);
    const report = JSON.parse(out) as Report;
    console.log(`hostile blocks: ${report.blocks} read, ${report.routes} routes, peak ${report.peakMb} MB`);
    return report;
  } finally {
    close();
  }
}

test('20,000 blocks in a pool, each lending its 64 addresses', { timeout: TIME_MS }, async () => {
  const honest = blockOf('10.100.0.0/26', 'node-1', [0], [attribute('node-2', 'honest')], 1);
  const { blocks, routes, allowedIps, problems, peakMb } = await read(
    i => (i === 0 ? honest : lending(`10.${third(i)}/26`, `node-${3 + (i % 7)}`, i)),
    BLOCKS,
  );
  expect(blocks).toBe(BLOCKS);
  expect(peakMb).toBeLessThan(LIMIT_MB);
  expect(routes).toBeLessThan(90_000);
  expect(new Map(allowedIps).get('node-1')).toBeGreaterThan(0);
  for (const owner of ['node-3', 'node-9']) {
    expect(problems).toContain(`Node/${owner} TooManyBlocks`);
    expect(problems).toContain(`Node/${owner} TooManyBorrowedAddresses`);
  }
});

test('20,000 wide blocks outside every pool, some as large as etcd allows', { timeout: TIME_MS }, async () => {
  const { routes, problems, peakMb } = await read(
    i => (i % 200 === 0 ? huge(`192.${third(i)}/26`, 'liar') : lending(`200.${third(i)}/26`, 'liar', i)),
    BLOCKS,
  );
  expect(peakMb).toBeLessThan(LIMIT_MB);
  expect(routes).toBe(0);
  expect(problems).toContain('Node/liar BlockOutsidePools');
});
