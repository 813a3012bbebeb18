// Readers that ask an API server for what a datastore asks for, with its own client, and keep
// nothing: a thousand datastores would not fit into the memory of a test machine. Otherwise like
// api-load-agents.mjs.
//
// node api-load-readers.mjs DATASTORE KUBECONFIG COUNT REQUESTS
//
// REQUESTS is the JSON of what one datastore asked for at its start: numbers by name.
import { setMaxListeners } from 'node:events';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { counted } from './api-load-bytes.mjs';

const [module, kubeconfig, count, requests] = process.argv.slice(2);
const load = async file => await import(pathToFileURL(join(dirname(module), file)).href);
const { ApiConnection } = await load('connection.js');
const { listAll } = await load('list.js');
const { JitteredBackOff, SYSTEM_PACE } = await load('reflector/back-off.js');
const { own, report } = await counted(kubeconfig);
const { signal } = new AbortController();
// Each pending request adds a listener.
setMaxListeners(0, signal);

const wanted = Object.entries(JSON.parse(requests));
const watched = wanted.flatMap(([name]) => (name.startsWith('WATCH ') ? [name.slice('WATCH '.length)] : []));
/** Discovery, as often as the datastore asked for it. */
const asked = wanted.flatMap(([name, times]) => {
  const path = name.replace(/^GET /, '');
  return path === name || watched.includes(path) ? [] : Array.from({ length: times }, () => path);
});

let synced = 0;
let failed = 0;
for (let i = 0; i < Number(count); i++) void start();

async function start() {
  const connection = await ApiConnection.open({ kubeconfig: own, env: {} });
  const discovery = asked.map(path => retried(() => connection.request({ method: 'GET', path, signal })));
  await Promise.all([...discovery, ...watched.map(path => listed(connection, path))]);
  synced++;
}

/** Lists the objects of a path, and then watches them for ever. */
async function listed(connection, path) {
  const convert = () => undefined;
  let { version } = await retried(() => listAll(connection, { path, convert, signal }));
  void (async () => {
    for (;;) {
      const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: version, timeoutSeconds: '330' };
      const onLine = line => {
        const { type, object } = JSON.parse(line);
        if (type === 'ERROR') version = undefined;
        else version = object.metadata.resourceVersion;
      };
      const stream = { idleMs: 90_000, onOpen: () => undefined, onLine };
      await connection
        .stream({ method: 'GET', path, query, signal }, stream)
        .catch(() => SYSTEM_PACE.sleep(1000, signal));
      version ??= (await retried(() => listAll(connection, { path, convert, signal }))).version;
    }
  })();
}

async function retried(work) {
  const backOff = new JitteredBackOff(SYSTEM_PACE);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      // An answer too: not every object exists.
      if (error.status === 404) return undefined;
      failed++;
      await SYSTEM_PACE.sleep(backOff.next(error.retryAfterMs), signal);
    }
  }
}

await report(() => ({ synced, failed }));
