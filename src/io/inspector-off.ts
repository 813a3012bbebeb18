/**
 * An option that every version of Node has. It names an address to which no socket can be bound (link-local, without an
 * interface), so that SIGUSR1 opens no debugger, not even before the program can ignore the signal. Every start of one of
 * our programs passes it. A file of its own: cli/signals.ts runs first and loads nothing else.
 */
export const INSPECTOR_OFF = '--inspect-port=[fe80::1]:9229';
