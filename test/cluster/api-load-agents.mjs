// The datastores of many agents in one process, for api-load.test.ts. Prints a line of JSON for
// each line on stdin: how many have read the cluster, and what all have asked and received so far.
//
// node api-load-agents.mjs DATASTORE KUBECONFIG COUNT
import { pathToFileURL } from 'node:url';
import { counted } from './api-load-bytes.mjs';

const [module, kubeconfig, count] = process.argv.slice(2);
const { openApiDatastore } = await import(pathToFileURL(module).href);
const { own, report } = await counted(kubeconfig);

let synced = 0;
const datastores = [];
for (let i = 0; i < Number(count); i++) {
  const datastore = await openApiDatastore({ kubeconfig: own, env: {} });
  datastores.push(datastore);
}
for (const datastore of datastores) {
  let wasSynced = false;
  datastore.watch(snapshot => {
    if (snapshot.synced && !wasSynced) synced++;
    wasSynced ||= snapshot.synced;
  });
}

await report(() => ({ synced, failed: 0 }));
