/** Runs one of the two programs as it is shipped, and waits for it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RanWith {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export function programFile(name: 'wgts' | 'wireguard-ts'): string {
  return fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));
}

/** The environment is that of the test, without variables that change what the programs say. */
export function runProgram(
  name: 'wgts' | 'wireguard-ts',
  args: readonly string[],
  { env = {}, input = '' }: RanWith = {},
): Ran {
  const inherited = Object.entries(process.env).filter(
    ([key]) => !/^(WG|WGTS|NODENAME|KUBECONFIG|LOG_LEVEL)/.test(key),
  );
  const { status, stdout, stderr } = spawnSync(programFile(name), args, {
    encoding: 'utf8',
    env: { ...Object.fromEntries(inherited), ...env },
    input,
    timeout: 30_000,
  });
  return { status, out: stdout, err: stderr };
}
