#!/usr/bin/env node
/**
 * The entry of the program `wireguard-ts`. Installs the signal handlers first, then loads
 * wireguard-ts-program.ts, because loading takes most of the start-up time.
 */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wireguard-ts-program.ts'));
