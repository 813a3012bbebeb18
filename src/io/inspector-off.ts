/**
 * An option of Node, in all versions, for an address to which no socket can be bound: link-local, without an interface. With it no
 * SIGUSR1 opens the debugger, not even one that comes before the program can refuse it. Whatever starts one of our programs passes it.
 */
export const INSPECTOR_OFF = '--inspect-port=[fe80::1]:9229';
