/**
 * Reads a cluster with the real datastore, plans it a few times, and reports what that took. Run by
 * blocks.test.ts in a process of its own, under a memory limit.
 */
const [dist, kubeconfig, count] = process.argv.slice(2);
const { openApiDatastore } = await import(`${dist}/calico/datastore/api/datastore.js`);
const { Planner } = await import(`${dist}/calico/plan/planner.js`);
const { DEFAULT_OPTIONS } = await import(`${dist}/calico/plan/config/options.js`);

const datastore = await openApiDatastore({ kubeconfig, env: {} });
const snapshot = await new Promise(resolve => {
  datastore.watch(each => {
    if (each.synced && each.cluster.ipamBlocks.size >= Number(count)) resolve(each);
  });
});
const planner = new Planner();
const input = {
  nodeName: 'node-0',
  environment: {},
  options: DEFAULT_OPTIONS,
  facts: { links: [], aks: false },
  ownPublicKey: {},
};
let plan;
for (let i = 0; i < 3; i++) {
  // One block changes each time.
  const ipamBlocks = new Map(snapshot.cluster.ipamBlocks);
  const [name, block] = [...ipamBlocks][i];
  ipamBlocks.set(name, { ...block });
  plan = planner.plan({ ...input, cluster: { ...snapshot.cluster, ipamBlocks } });
}
const tunnel = plan.desired.tunnels[4];
const report = {
  blocks: snapshot.cluster.ipamBlocks.size,
  routes: tunnel.routes.size,
  allowedIps: [...tunnel.peers.values()].map(({ node, allowedIps }) => [node, allowedIps.length]),
  problems: [
    ...new Set([...plan.problems, ...snapshot.problems].map(({ object, reason }) => `${object} ${reason}`)),
  ].slice(0, 100),
  peakMb: Math.round(process.resourceUsage().maxRSS / 1024),
};
process.stdout.write(JSON.stringify(report));
await datastore.close();
