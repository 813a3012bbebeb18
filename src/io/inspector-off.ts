/**
 * A Node option that keeps SIGUSR1 from opening a debugger, even before the program can ignore the
 * signal. It names an address to which no socket can be bound (link-local, without an interface).
 * Every version of Node has the option, and each start of our programs passes it. It has a file of
 * its own because cli/signals.ts runs first and loads nothing else.
 */
export const INSPECTOR_OFF = '--inspect-port=[fe80::1]:9229';
