#!/usr/bin/env node
/**
 * The entry point of `wireguard-ts`: installs the signal handlers, then loads
 * wireguard-ts-program.ts, because loading takes most of the start. It has its own file, so that
 * nothing loads before the handlers.
 */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wireguard-ts-program.ts'));
