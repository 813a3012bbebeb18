/**
 * The device's side of its log. Nothing here waits or throws: while a place takes nothing, lines beyond a bound are dropped and counted, and
 * where it fails for good the device goes on without.
 */
import { Socket } from 'node:net';
import { LogFile } from './log-file.ts';

/** The child finds here the descriptor of a stream, or the path of a file. */
export const LOG_FD_VARIABLE = 'WGTS_LOG_FD';
export const LOG_FILE_VARIABLE = 'WGTS_LOG_FILE';
/** Set to 1 where standard error is a person's or a manager's, who want all of it too. */
export const LOG_BOTH_VARIABLE = 'WGTS_LOG_BOTH';

interface LogSink {
  write(line: string): void;
  /** What waits is written now, as far as that can be: the process ends. */
  flush(): void;
}

export interface TakenLog {
  readonly sink: LogSink | undefined;
  /** Whether standard error gets what is logged as well. */
  readonly toStderr: boolean;
}

const MOST_WAITING = 256 << 10;

/** Takes what the parent handed over, once. */
export function takeLog(env: NodeJS.ProcessEnv = process.env): TakenLog {
  const fd = Number(env[LOG_FD_VARIABLE] ?? -1);
  const file = env[LOG_FILE_VARIABLE];
  const isBoth = env[LOG_BOTH_VARIABLE] === '1';
  for (const name of [LOG_FD_VARIABLE, LOG_FILE_VARIABLE, LOG_BOTH_VARIABLE]) delete env[name];
  const sink = file ? new LogFile(file) : Number.isInteger(fd) && fd > 2 ? streamSink(fd) : undefined;
  return { sink, toStderr: sink === undefined || isBoth };
}

function streamSink(fd: number): LogSink {
  let stream: Socket;
  try {
    stream = new Socket({ fd, readable: false, writable: true });
  } catch {
    return { write: () => {}, flush: () => {} };
  }
  // without a reader the tunnel goes on
  stream.on('error', () => {});
  stream.unref();
  let dropped = 0;
  return {
    write(line) {
      if (stream.destroyed) return;
      if (stream.writableLength > MOST_WAITING) {
        dropped++;
        return;
      }
      if (dropped > 0) stream.write(`${dropped} lines were dropped: the log took nothing\n`);
      dropped = 0;
      // written at once while the stream takes it
      stream.write(line);
    },
    flush: () => {},
  };
}
