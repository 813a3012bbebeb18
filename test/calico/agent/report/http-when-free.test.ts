/** The address of the agent's HTTP server while another program uses it. */
import { createServer } from 'node:http';
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

test.each(['{"ready":true}', 'hello', '{'])('another program that answers %j is an error', async text => {
  const server = createServer((_, response) => response.end(text));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(serveHttpWhenFree(options(port), () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
  server.closeAllConnections();
  server.close();
});

test('a program that answers for ever, byte by byte, is an error too', async () => {
  const server = createServer((_, response) => {
    const drip = setInterval(() => response.write(' '), 100);
    response.on('close', () => clearInterval(drip));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(serveHttpWhenFree(options(port), () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
  server.closeAllConnections();
  server.close();
});
