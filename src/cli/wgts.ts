#!/usr/bin/env node
/** The program `wgts` (wgts-program.ts), loaded once signals can do it no harm: loading takes most of a start. */
import { closeInspector, ignoreUserSignals } from './signals.ts';

ignoreUserSignals();
const { main } = await import('./wgts-program.ts');
await closeInspector();
await main();
