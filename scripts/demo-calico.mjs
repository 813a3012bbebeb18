#!/usr/bin/env node
// `npm run demo:calico`: three Calico nodes and their pods (demo/calico.mjs). It runs in its own
// namespaces, as root or without: it leaves nothing behind and changes nothing else on the machine.
import './node-version.mjs';

// Any early end is a failure.
process.exitCode = 1;
import('./demo/supervise.mjs').then(({ supervise }) => supervise({ name: 'demo:calico', scenario: 'calico.mjs' }));
