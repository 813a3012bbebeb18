/** Runs one of the two programs as it is shipped and waits until it ends. */
import { execFile, spawnSync } from 'node:child_process';
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

/** Runs a program in the test's environment, without variables that change its output. */
export function runProgram(
  name: 'wgts' | 'wireguard-ts',
  args: readonly string[],
  { env = {}, input = '' }: RanWith = {},
): Ran {
  const { status, stdout, stderr } = spawnSync(programFile(name), args, {
    encoding: 'utf8',
    env: environment(env),
    input,
    timeout: 30_000,
  });
  return { status, out: stdout, err: stderr };
}

/** Like `runProgram`, without blocking the test. */
export function runProgramAsync(
  name: 'wgts' | 'wireguard-ts',
  args: readonly string[],
  { env = {}, input = '' }: RanWith = {},
): Promise<Ran> {
  return new Promise(resolve => {
    const options = { encoding: 'utf8', env: environment(env), timeout: 30_000 } as const;
    const child = execFile(programFile(name), args, options, (_, out, err) =>
      resolve({ status: child.exitCode, out, err }),
    );
    child.stdin?.on('error', () => {}).end(input);
  });
}

function environment(added: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([key]) => !/^(WG|NODENAME|USE_POD_CIDR|KUBECONFIG|LOG_LEVEL)/.test(key),
  );
  return { ...Object.fromEntries(inherited), ...added };
}
