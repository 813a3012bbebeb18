#!/usr/bin/env node
// `npm run demo:calico`: three Calico nodes and their pods (demo/calico.mjs). The demo needs no
// root. It runs in its own namespaces: it leaves nothing behind and changes nothing else on the
// machine.
import './node-version.mjs';

// An end before the status is set is a failure.
process.exitCode = 1;
import('./demo/supervise.mjs').then(({ supervise }) => supervise({ name: 'demo:calico', scenario: 'calico.mjs' }));
