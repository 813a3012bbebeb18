/** Hands a device of the laboratory over to another process of the program under test. */
import { type Running, until } from './command.ts';
import { commandOf, type Device } from './device.ts';
import type { Namespace } from './lab.ts';

export interface SuccessorOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The command line of the program; default: the program under test. */
  readonly command?: readonly string[];
}

/** Starts a process that takes the device over, in the foreground. Does not wait. */
export function startSuccessor(namespace: Namespace, name: string, options: SuccessorOptions = {}): Running {
  const command = options.command ?? commandOf('ours');
  return namespace.start([...command, ...(options.args ?? []), '-f', '--take-over', name], {
    env: { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: '1', LOG_LEVEL: 'verbose', ...options.env },
  });
}

/**
 * Hands the device over and waits until the old process has ended.
 * @returns the new process
 */
export async function handOver(
  namespace: Namespace,
  device: Pick<Device, 'name'>,
  old: Running,
  options: SuccessorOptions = {},
): Promise<Running> {
  const successor = startSuccessor(namespace, device.name, options);
  await until('the new process to run the device', () => {
    const ended = successor.result();
    if (ended) throw new Error(`the new process ended: ${successor.output()}`);
    return / took over from process /.test(successor.output());
  });
  const { code, signal } = await old.exited;
  if (code !== 0) throw new Error(`the old process ended with ${code ?? signal}: ${old.output()}`);
  return successor;
}

/** Returns a counter of the kernel in a namespace, such as TcpRetransSegs. */
export async function kernelCounter(namespace: Namespace, name: string): Promise<number> {
  const { stdout } = await namespace.run(['nstat', '-asz', name]);
  return Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(stdout)?.[1]);
}
