/** A bare client of the control socket, for requests that `wg` would never send. */
import { connect } from 'node:net';

export interface UapiOptions {
  /** Close our side after the text instead of waiting for an answer. */
  readonly hangUp?: boolean;
  readonly timeout?: number;
}

/**
 * Sends text on one connection and returns the response up to an empty line, the end, or the
 * timeout (2 s).
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
      // A server may close the connection on bad input while the rest is still being written.
      if ('code' in error && (error.code === 'EPIPE' || error.code === 'ECONNRESET')) return finish();
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** Returns the number after `errno=` in a response. */
export function errnoOf(answer: string): number | undefined {
  const match = /^errno=(-?\d+)$/m.exec(answer);
  return match === null ? undefined : Number(match[1]);
}

/** Returns the values of one key in a response to `get`. */
export function valuesOf(answer: string, key: string): string[] {
  return answer
    .split('\n')
    .filter(line => line.startsWith(`${key}=`))
    .map(line => line.slice(key.length + 1));
}
