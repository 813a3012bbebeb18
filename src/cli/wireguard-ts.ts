#!/usr/bin/env node
/**
 * The program `wireguard-ts` (wireguard-ts-program.ts), loaded once the signal handlers are in
 * place: loading takes most of a start. A file of its own: an entry loads nothing else first.
 */
import { startProgram } from './signals.ts';

void startProgram(() => import('./wireguard-ts-program.ts'));
