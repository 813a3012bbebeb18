#!/usr/bin/env node
/**
 * The entry of the program `wgts`. Installs the signal handlers first, then loads wgts-program.ts,
 * because loading takes most of the start-up time.
 */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wgts-program.ts'));
