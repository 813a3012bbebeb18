/**
 * An option that every version of Node has. It names an address to which no socket can be bound
 * (link-local, without an interface). So SIGUSR1 opens no debugger, even before the program can
 * ignore the signal. Each start of our programs passes it. It has a file of its own because
 * cli/signals.ts runs first and loads nothing else.
 */
export const INSPECTOR_OFF = '--inspect-port=[fe80::1]:9229';
