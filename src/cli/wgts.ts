#!/usr/bin/env node
/**
 * The program `wgts` (wgts-program.ts), loaded once the signal handlers are in place: loading takes
 * most of a start. A file of its own: an entry loads nothing else first.
 */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wgts-program.ts'));
