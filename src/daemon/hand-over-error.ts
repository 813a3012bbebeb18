/** How a take-over can fail, for the caller of `wireguard-ts --take-over`. */

/**
 * How the message begins if no process answers: the caller may then start or adopt the interface.
 */
const NO_OWNER = 'there is no one to take over from';
/** How the message begins if the process that runs the interface goes on. */
const STILL_RUNS = 'not taken over, the old process goes on';

/** Exit status of `wireguard-ts --take-over` for both. */
const NO_OWNER_STATUS = 3;
const STILL_RUNS_STATUS = 4;

const CODES = { ENOOWNER: NO_OWNER, EREFUSED: STILL_RUNS } as const;

/** Returns an error whose message begins with the phrase of its code. */
export function handOverError(code: keyof typeof CODES, reason: string): Error {
  return Object.assign(new Error(`${CODES[code]}: ${reason}`), { code });
}

/** Returns the code for a message, which may come from a child process; undefined for any other. */
export function handOverCode(message: string): keyof typeof CODES | undefined {
  if (message.includes(NO_OWNER)) return 'ENOOWNER';
  return message.includes(STILL_RUNS) ? 'EREFUSED' : undefined;
}

/** Returns the exit status for a message. */
export function handOverStatus(message: string): number {
  const code = handOverCode(message);
  if (code === undefined) return 1;
  return code === 'ENOOWNER' ? NO_OWNER_STATUS : STILL_RUNS_STATUS;
}
