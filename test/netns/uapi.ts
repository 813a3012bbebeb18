/** A bare client of the control socket, for what `wg` would never send. */
import { connect } from 'node:net';

export interface UapiOptions {
  /** Close our side after the text instead of waiting for an answer. */
  readonly hangUp?: boolean;
  readonly timeout?: number;
}

/**
 * Sends text on one connection and returns everything that came back until an empty line, the end, or the timeout (2 s).
 */
export function uapi(socket: string, text: string | Uint8Array, options: UapiOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const connection = connect(socket);
    const finish = (): void => {
      clearTimeout(timer);
      connection.destroy();
      resolve(answer);
    };
    const timer = setTimeout(finish, options.timeout ?? 2_000);
    connection.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
      if (answer.endsWith('\n\n')) finish();
    });
    connection.once('connect', () => connection.write(text, () => options.hangUp === true && finish()));
    connection.once('close', finish);
    connection.once('error', error => {
      // A server may hang up on what it refuses while the rest is still being written.
      if ('code' in error && (error.code === 'EPIPE' || error.code === 'ECONNRESET')) return finish();
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** The number after `errno=` in an answer. */
export function errnoOf(answer: string): number | undefined {
  const match = /^errno=(-?\d+)$/m.exec(answer);
  return match === null ? undefined : Number(match[1]);
}

/** The values of one key in an answer to `get`. */
export function valuesOf(answer: string, key: string): string[] {
  return answer
    .split('\n')
    .filter(line => line.startsWith(`${key}=`))
    .map(line => line.slice(key.length + 1));
}
