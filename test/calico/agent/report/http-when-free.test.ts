/** The address of the agent's HTTP server while another program uses it. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { serveHttp } from '../../../../src/calico/agent/report/http.ts';
import { serveHttpWhenFree } from '../../../../src/calico/agent/report/http-when-free.ts';
import { Metrics } from '../../../../src/calico/agent/report/metrics.ts';
import { FIRST_STATUS } from '../../../../src/calico/agent/status.ts';

const none = { list: async () => [], get: () => Promise.reject(new Error('none')), counters: async () => undefined };
const metrics = new Metrics({ hostname: 'h', backend: none, now: () => 0 });
const options = (port: number, phase: 'waiting' | 'handed-over' = 'waiting') => ({
  host: '127.0.0.1',
  port,
  metrics,
  status: () => ({ ...FIRST_STATUS, phase }),
  now: () => 0,
});
const phaseAt = async (port: number): Promise<string | undefined> => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
  return answer && ((await answer.json()) as { phase: string }).phase;
};

test('waits while another agent answers there, then answers itself', async () => {
  const old = await serveHttp(options(0));
  const warned: string[] = [];
  const close = await serveHttpWhenFree(options(old.port, 'handed-over'), text => warned.push(text));
  expect(warned).toEqual([expect.stringMatching(/another agent answers at http:\/\/127\.0\.0\.1/)]);
  expect(await phaseAt(old.port)).toBe('waiting');
  old.close();
  await expect.poll(() => phaseAt(old.port)).toBe('handed-over');
  expect(warned).toHaveLength(1);
  close();
  expect(await phaseAt(old.port)).toBeUndefined();
});

test('closed while it waits, it never answers', async () => {
  const old = await serveHttp(options(0));
  const close = await serveHttpWhenFree(options(old.port), () => {});
  close();
  old.close();
  await new Promise(resolve => setTimeout(resolve, 600));
  expect(await phaseAt(old.port)).toBeUndefined();
});

/** A program that is no agent. */
async function foreign(answer: RequestListener): Promise<{ readonly port: number; readonly end: () => void }> {
  const server = createServer(answer);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, end };
}

const drips: RequestListener = (_, response) => {
  const drip = setInterval(() => response.write(' '), 100);
  response.on('close', () => clearInterval(drip));
};

test.each<[string, RequestListener]>([
  ['half an answer of an agent', (_, response) => void response.end('{"ready":true}')],
  ['text', (_, response) => void response.end('hello')],
  ['broken JSON', (_, response) => void response.end('{')],
  ['nothing', request => void request.socket.destroy()],
  ['bytes for ever', drips],
])('a program that answers %s does not keep the agent from its work, and is named', async (_what, answer) => {
  const { port, end } = await foreign(answer);
  const warned: string[] = [];
  const close = await serveHttpWhenFree(options(port), text => warned.push(text));
  expect(warned).toEqual([
    `a program that is no agent listens at http://127.0.0.1:${port}, so probes and metrics of this agent fail until it ends; --http takes another address, or off`,
  ]);
  end();
  await expect.poll(() => phaseAt(port), { timeout: 10_000 }).toBe('waiting');
  expect(warned).toHaveLength(1);
  close();
});

test('an address that this machine does not have is an error', async () => {
  const elsewhere = serveHttpWhenFree({ ...options(9), host: '192.0.2.1' }, () => {});
  await expect(elsewhere).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
});
