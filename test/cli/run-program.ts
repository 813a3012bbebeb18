/** Runs a command-line program, and makes what two clients say to a device comparable. */
import { spawn } from 'node:child_process';
import { missingOf } from '../support/machine.ts';

/**
 * Before a program that looks at all devices of this machine: a /run of its own, where control sockets are. Otherwise it would speak to those of
 * the tests that run beside it. Who may not have one has no devices beside it either.
 */
export const OWN_RUN: readonly string[] =
  missingOf(['root', 'namespaces']).length > 0
    ? []
    : ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'];

/** Two clients may say the same in another order of lines within a section; a zero key may be said or not. */
export function normal(request: string): string[] {
  return request
    .trimEnd()
    .split(/\n(?=public_key=)/)
    .map(section => {
      // the device takes host bits away; wgts does so before
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
