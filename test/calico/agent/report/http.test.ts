/** Requests of the kubelet and of Prometheus, and hostile ones. */
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HttpServer, serveHttp } from '../../../../src/calico/agent/report/http.ts';
import { Metrics } from '../../../../src/calico/agent/report/metrics.ts';
import { type AgentStatus, FIRST_STATUS } from '../../../../src/calico/agent/status.ts';
import type { Plan } from '../../../../src/calico/plan/input.ts';

let server: HttpServer;
let status: AgentStatus;
let now: number;
const sockets: Socket[] = [];

beforeEach(async () => {
  status = FIRST_STATUS;
  now = 0;
  const none = { list: async () => [], get: () => Promise.reject(new Error('none')), counters: async () => undefined };
  const metrics = new Metrics({ hostname: 'h', backend: none, now: () => now });
  server = await serveHttp({ host: '127.0.0.1', port: 0, metrics, status: () => status, now: () => now });
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });

/** Opens a raw connection; collects what it receives until it ends. */
function open(says?: string): { readonly socket: Socket; readonly end: Promise<string> } {
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket);
  let heard = '';
  const end = new Promise<string>(resolve => {
    socket.on('data', bytes => (heard += bytes.toString('latin1')));
    socket.on('error', () => {}).on('close', () => resolve(heard));
  });
  if (says !== undefined) socket.write(says);
  return { socket, end };
}

test('/healthz: 503 when a turn hangs', async () => {
  expect((await ask('/healthz')).status).toBe(200);
  status = { ...status, turns: { ...status.turns, begun: 1000 } };
  now = 121_000;
  expect((await ask('/healthz')).status).toBe(200);
  now = 122_000;
  const ill = await ask('/healthz?verbose');
  expect(ill.status).toBe(503);
  expect(await ill.text()).toMatch(/has been running for 121 s/);
});

const plan = (problems: Plan['problems'] = [], tunnels: object = { 4: {} }): Plan =>
  ({ desired: { tunnels }, problems }) as unknown as Plan;
const RUNNING = { phase: 'running', plan: plan(), published: { 4: true, 6: false } } as const;
const UP = { tunnels: { 4: { ready: true, interfaceName: 'wg' } }, changes: 0 };
const FAILED = { ready: true, interfaceName: 'wg', error: { step: 'routes' as const, message: 'ENOBUFS' } };
const UNKNOWN = { object: 'Node/n1', reason: 'UnknownNode', message: 'there is no such Node' };
const BAD = { object: 'Options', reason: 'InvalidTable', message: 'table 1 is Felix’s' };
const WARNING = { object: 'Options', reason: 'MarkInUse', message: 'mark' };

test.each<[string, Partial<AgentStatus>, number, RegExp]>([
  ['waiting', {}, 503, /being read/],
  ['the cluster is unreachable', { stale: 'no route' }, 503, /cannot be read: no route/],
  ['running', { ...RUNNING, applied: UP }, 200, /"reasons":\[\]/],
  ['running on the last known state', { ...RUNNING, applied: UP, stale: 'away' }, 200, /"stale":"away"/],
  ['not up', { ...RUNNING, applied: { tunnels: {}, changes: 0 } }, 503, /IPv4: the tunnel is not up/],
  ['no key', { ...RUNNING, applied: UP, published: { 4: false, 6: false } }, 503, /key is not on our Node yet/],
  ['an error', { ...RUNNING, applied: { tunnels: { 4: FAILED }, changes: 0 } }, 503, /IPv4: routes: ENOBUFS/],
  ['handed over', { phase: 'handed-over', plan: plan() }, 200, /handed-over/],
  ['off', { phase: 'running', plan: plan([], {}) }, 200, /"ready":true/],
  ['no such Node', { phase: 'running', plan: plan([UNKNOWN], {}) }, 503, /no such Node/],
  ['invalid options', { phase: 'running', plan: plan([BAD], {}) }, 503, /table 1/],
  ['options with a warning', { phase: 'running', plan: plan([WARNING], {}) }, 200, /"ready":true/],
  ['a turn that failed', { ...RUNNING, applied: UP, failure: 'no netlink' }, 503, /no netlink/],
])('/readyz: %s', async (_, change, code, says) => {
  status = { ...status, ...change };
  const answer = await ask('/readyz');
  expect(answer.status).toBe(code);
  expect(await answer.text()).toMatch(says);
});

test('/readyz fits the size of a probe, however many problems there are', async () => {
  const problems = Array.from({ length: 5000 }, (_, i) => ({ object: `Node/n${i}`, reason: 'NoKey', message: 'none' }));
  status = { ...status, problems };
  const text = await (await ask('/readyz')).text();
  expect(text.length).toBeLessThan(10_000);
  expect(JSON.parse(text)).toMatchObject({ problemCount: 5000 });
});

test('/metrics is the text format', async () => {
  const answer = await ask('/metrics');
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await answer.text()).toContain('wgts_turns_total 0\n');
});

test('404, 405, HEAD', async () => {
  expect((await ask('/')).status).toBe(404);
  const post = await ask('/metrics', 'POST');
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  const head = await ask('/healthz', 'HEAD');
  expect([head.status, await head.text()]).toEqual([200, '']);
});

test.each([
  ['bytes that are not HTTP', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', /^HTTP\/1\.1 400/],
  ['endless headers', `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431/],
  ['an invalid target', 'GET \x00 HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 400/],
  ['another host', 'GET http://elsewhere/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', /^HTTP\/1\.1 404/],
])('%s is refused, and the next is answered', async (_, text, says) => {
  expect(await open(text).end).toMatch(says);
  expect((await ask('/healthz')).status).toBe(200);
});

test('a client that holds all connections locks out no other, and silent ones are closed soon', async () => {
  const silent = Array.from({ length: 150 }, (_, i) => open(i % 2 ? undefined : 'GET /healthz HTTP/1.1\r\nx: '));
  // A byte now and then, so that the connection never counts as idle.
  const slow = open('GET /healthz HTTP/1.1\r\n');
  let drips = 0;
  const drip = setInterval(() => {
    drips++;
    slow.socket.write('x: y\r\n');
  }, 200);
  try {
    await new Promise(resolve => slow.socket.once('connect', resolve));
    for (let i = 0; i < 5; i++) expect((await ask('/healthz')).status).toBe(200);
    await Promise.all([...silent, slow].map(({ end }) => end));
    // Closed after five seconds; Node's own limits would take a minute.
    expect(drips).toBeLessThan(150);
  } finally {
    clearInterval(drip);
  }
});

test('a port in use rejects with its code', async () => {
  const metrics = new Metrics({
    hostname: 'h',
    backend: { list: async () => [], get: () => Promise.reject(), counters: async () => undefined },
    now: () => 0,
  });
  const second = serveHttp({ host: '127.0.0.1', port: server.port, metrics, status: () => status, now: () => 0 });
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
