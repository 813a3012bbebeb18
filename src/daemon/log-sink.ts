/**
 * The device's end of its log. Nothing here waits or throws. While the log accepts nothing, lines
 * beyond a limit are dropped and counted. The device goes on without a working log.
 */
import { Socket } from 'node:net';
import { LogFile } from './log-file.ts';

/** The variable that names the descriptor of the log's stream for the child. */
export const LOG_FD_VARIABLE = 'WGTS_LOG_FD';
export const LOG_FILE_VARIABLE = 'WGTS_LOG_FILE';
/** If 1, the child also writes to standard error, which a person or a service manager reads. */
export const LOG_BOTH_VARIABLE = 'WGTS_LOG_BOTH';

interface LogSink {
  write(line: string): void;
  /** Writes waiting lines now, as far as possible: the process is about to end. */
  flush(): void;
}

export interface TakenLog {
  readonly sink: LogSink | undefined;
  /** Whether log lines also go to standard error. */
  readonly toStderr: boolean;
}

const MOST_WAITING = 256 << 10;

/** Takes over the log that the parent passed. Call once. */
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
  // the tunnel keeps running when the reader of its log is gone
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
      if (dropped > 0) stream.write(`${dropped} lines were dropped: the log accepted nothing\n`);
      dropped = 0;
      // the stream accepts lines and writes them at once while it can
      stream.write(line);
    },
    flush: () => {},
  };
}
