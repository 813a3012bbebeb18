/** How a take-over can fail, for the caller of `wireguard-ts --take-over`. */

/** How the message begins if no process answers: the caller may then start or adopt the interface. */
const NOBODY_TO_TAKE_OVER = 'there is no one to take over from';
/** How the message begins if the process that runs the interface goes on. */
const STILL_RUNS = 'not taken over, the old process goes on';

/** Exit status of `wireguard-ts --take-over` for both. */
const NOBODY_STATUS = 3;
const STILL_RUNS_STATUS = 4;

const CODES = { ENOOWNER: NOBODY_TO_TAKE_OVER, EREFUSED: STILL_RUNS } as const;

/** Returns an error whose message begins with the phrase of its code. */
export function handOverError(code: keyof typeof CODES, reason: string): Error {
  return Object.assign(new Error(`${CODES[code]}: ${reason}`), { code });
}

/** Returns the code for a message, which may come from a child process; undefined for any other. */
export function handOverCode(message: string): keyof typeof CODES | undefined {
  if (message.includes(NOBODY_TO_TAKE_OVER)) return 'ENOOWNER';
  return message.includes(STILL_RUNS) ? 'EREFUSED' : undefined;
}

/** Returns the exit status for a message. */
export function handOverStatus(message: string): number {
  const code = handOverCode(message);
  if (code === undefined) return 1;
  return code === 'ENOOWNER' ? NOBODY_STATUS : STILL_RUNS_STATUS;
}
