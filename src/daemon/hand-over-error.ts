/** How a take-over can fail, for the caller of `wireguard-ts --take-over`. */

/** How the message begins if no process answers: the caller may then start or adopt the interface. */
export const NOBODY_TO_TAKE_OVER = 'there is no one to take over from';
/** How the message begins if the process that runs the interface goes on. */
export const STILL_RUNS = 'not taken over, the old process goes on';

/** Exit status of `wireguard-ts --take-over` for both. */
export const NOBODY_STATUS = 3;
export const STILL_RUNS_STATUS = 4;

const CODES = { ENOOWNER: NOBODY_TO_TAKE_OVER, EREFUSED: STILL_RUNS } as const;

/** Returns an error whose message begins with the phrase of its code. */
export function handOverError(code: keyof typeof CODES, reason: string): Error {
  return Object.assign(new Error(`${CODES[code]}: ${reason}`), { code });
}

/** Returns the exit status for a message, which may come from a child process. */
export function handOverStatus(message: string): number {
  if (message.includes(NOBODY_TO_TAKE_OVER)) return NOBODY_STATUS;
  return message.includes(STILL_RUNS) ? STILL_RUNS_STATUS : 1;
}
