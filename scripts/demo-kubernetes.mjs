#!/usr/bin/env node
// `npm run demo:kubernetes`: a real Kubernetes cluster of three nodes (demo/kubernetes.mjs). The
// demo needs root and Go. It runs in its own namespaces: it leaves nothing behind except the
// programs that it builds once, in the user's cache folder.
import './node-version.mjs';

// An end before the status is set is a failure.
process.exitCode = 1;
Promise.all([import('./demo/supervise.mjs'), import('./demo/real-cluster.mjs')]).then(
  ([{ supervise }, { prepare, cleanUp }]) =>
    supervise({ name: 'demo:kubernetes', scenario: 'kubernetes.mjs', prepare, cleanUp }),
);
