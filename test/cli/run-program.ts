/** Runs a command-line program, and makes the requests of two clients to a device comparable. */
import { spawn } from 'node:child_process';
import { missingOf } from '../support/machine.ts';

/**
 * Prefix for programs that look at all devices of this machine: it gives them an empty /run, where
 * control sockets are. Otherwise they would talk to devices of tests that run at the same time.
 * Without the rights for it, this machine has no such devices either.
 */
export const OWN_RUN: readonly string[] =
  missingOf(['root', 'namespaces']).length > 0
    ? []
    : ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'];

/**
 * Normalizes a request: clients may order lines within a section differently and omit zero keys.
 */
export function normal(request: string): string[] {
  return request
    .trimEnd()
    .split(/\n(?=public_key=)/)
    .map(section => {
      // The device clears host bits; wgts clears them before it sends.
      const [first, ...lines] = section.replace('allowed_ip=10.1.2.3/8', 'allowed_ip=10.0.0.0/8').split('\n');
      return [first, ...lines.sort()].join('\n');
    });
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export function run(
  [program, ...args]: readonly string[],
  { env = {}, input = '' }: Options = {},
): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { env: { ...process.env, ...env } });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', chunk => {
      out += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', chunk => {
      err += chunk;
    });
    child.on('error', reject);
    child.on('close', status => resolve({ status, out, err }));
    child.stdin.on('error', () => {}).end(input);
  });
}
