#!/usr/bin/env node
// `npm run demo:calico`: three Calico nodes and their pods (demo/calico.mjs). Runs in namespaces of its own, as root or without: nothing of it is left
// behind, and nothing else on the machine is touched.
import './node-version.mjs';

// what does not come to its end has not succeeded
process.exitCode = 1;
import('./demo/supervise.mjs').then(({ supervise }) => supervise({ name: 'demo:calico', scenario: 'calico.mjs' }));
