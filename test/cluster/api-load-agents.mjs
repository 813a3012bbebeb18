// The datastores of many agents in one process, for api-load.test.ts. Prints a line of JSON for
// each line on stdin: how many have read the cluster, and what all have asked and received so far.
//
// node api-load-agents.mjs DATASTORE KUBECONFIG COUNT
import diagnostics from 'node:diagnostics_channel';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [module, kubeconfig, count] = process.argv.slice(2);
const { openApiDatastore } = await import(pathToFileURL(module).href);

// All connections pass through this process, which counts the bytes on them.
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
const own = join(dirname(kubeconfig), 'agents.kubeconfig');
writeFileSync(own, JSON.stringify(config), { mode: 0o600 });

const requests = {};
diagnostics.subscribe('http.client.request.start', ({ request }) => {
  const { pathname, searchParams } = new URL(request.path, 'https://server');
  const what = `${searchParams.get('watch') === 'true' ? 'WATCH' : request.method} ${pathname}`;
  requests[what] = (requests[what] ?? 0) + 1;
});

let synced = 0;
let notified = 0;
const datastores = [];
for (let i = 0; i < Number(count); i++) {
  const datastore = await openApiDatastore({ kubeconfig: own, env: {} });
  datastores.push(datastore);
}
for (const datastore of datastores) {
  let wasSynced = false;
  datastore.watch(snapshot => {
    notified++;
    if (snapshot.synced && !wasSynced) synced++;
    wasSynced ||= snapshot.synced;
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') process.exit(0);
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ synced, notified, bytes, requests, cpuSeconds: (user + system) / 1e6 }));
}
