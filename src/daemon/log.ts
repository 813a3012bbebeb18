/**
 * The daemon's log for people, on stderr, in the levels of wireguard-go (LOG_LEVEL: verbose, error,
 * silent). It never contains keys.
 */

export type LogLevel = 'silent' | 'error' | 'verbose';

/** Receives messages for people, in the levels of wireguard-go. A message never holds a key. */
export interface Log {
  /** Logs a detail that only a search for an error needs. */
  verbose(message: string): void;
  /** Logs what an administrator has to know. */
  error(message: string): void;
  /**
   * Logs what every reader wants to know: began, ended, up, down. If absent, these messages go to
   * verbose().
   */
  notice?(message: string): void;
}

/** Parses LOG_LEVEL as wireguard-go does; an unknown or missing level is "error". */
export function parseLogLevel(text: string | undefined): LogLevel {
  switch (text) {
    case 'verbose':
    case 'debug':
      return 'verbose';
    case 'silent':
      return 'silent';
    default:
      return 'error';
  }
}

/**
 * Makes a log that writes lines such as `ERROR: (wg0) 2026/11/24 14:00:00 message`, as wireguard-go
 * does.
 * @param write writes to standard error
 * @param keep writes to the permanent log
 */
export function makeLog(
  level: LogLevel,
  name: string,
  write: (line: string) => void,
  wall = () => new Date(),
  keep: (line: string) => void = () => {},
): Log {
  const line = (kind: string, message: string, isShown = true) => {
    const [date, time] = wall().toISOString().split('T');
    const text = `${kind}: (${name}) ${date!.replaceAll('-', '/')} ${time!.slice(0, 8)} ${message}\n`;
    if (isShown) write(text);
    keep(text);
  };
  return {
    verbose: message => {
      if (level === 'verbose') line('DEBUG', message);
    },
    error: message => {
      if (level !== 'silent') line('ERROR', message);
    },
    notice: message => {
      if (level === 'verbose') line('DEBUG', message);
      else if (level === 'error') line('INFO', message, false);
    },
  };
}
