#!/usr/bin/env node
/** The program `wgts` (wgts-program.ts), loaded once signals can do it no harm: loading takes most of a start. */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wgts-program.ts'));
