#!/usr/bin/env node
/** The program `wireguard-ts` (wireguard-ts-program.ts), loaded once signals can do it no harm: loading takes most of a start. */
import { closeInspector, ignoreUserSignals } from './signals.ts';

ignoreUserSignals();
const { main } = await import('./wireguard-ts-program.ts');
await closeInspector();
await main();
