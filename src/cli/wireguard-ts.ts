#!/usr/bin/env node
/** The program `wireguard-ts` (wireguard-ts-program.ts), loaded once signals can do it no harm: loading takes most of a start. */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wireguard-ts-program.ts'));
