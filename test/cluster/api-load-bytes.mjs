// Counts what programs of api-load.test.ts ask of an API server and receive from it, and reports
// it.
import diagnostics from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * Returns the path of a kubeconfig whose connections pass through this process, and a function that
 * prints a line of JSON for each line on stdin: what `state` returns, all bytes received so far,
 * the number of requests by method and path, and the CPU time.
 */
export async function counted(kubeconfig) {
  let bytes = 0;
  const config = JSON.parse(readFileSync(kubeconfig, 'utf8'));
  const server = new URL(config.clusters[0].cluster.server);
  const proxy = createServer(client => {
    const upstream = connect(Number(server.port), server.hostname);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    upstream.on('data', chunk => {
      bytes += chunk.length;
    });
    upstream.pipe(client).on('error', end).on('close', end);
    client.pipe(upstream).on('error', end).on('close', end);
  });
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve));
  config.clusters[0].cluster.server = `https://127.0.0.1:${proxy.address().port}`;
  const own = join(dirname(kubeconfig), `load-${process.pid}.kubeconfig`);
  writeFileSync(own, JSON.stringify(config), { mode: 0o600 });

  const requests = {};
  diagnostics.subscribe('http.client.request.start', ({ request }) => {
    const what = nameOf(request);
    requests[what] = (requests[what] ?? 0) + 1;
  });
  return {
    own,
    async report(state) {
      for await (const _ of createInterface({ input: process.stdin })) {
        const { user, system } = process.cpuUsage();
        console.log(JSON.stringify({ ...state(), bytes, requests, cpuSeconds: (user + system) / 1e6 }));
      }
    },
  };
}

/** `WATCH /api/v1/nodes` and the like. */
function nameOf({ method, path }) {
  const { pathname, searchParams } = new URL(path, 'https://server');
  return `${searchParams.get('watch') === 'true' ? 'WATCH' : method} ${pathname}`;
}
