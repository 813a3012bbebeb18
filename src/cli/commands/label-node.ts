/**
 * `wgts doctor --label`: labels our Node to show whether the kernel has WireGuard, so that agents
 * can run only on nodes without it. The command needs no tunnel and no /dev/net/tun. In the
 * cluster, it needs the right to patch Nodes, which the agent itself does not have.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasFamily } from '../../backend/choose.ts';
import { BackOff } from '../../base/back-off.ts';
import { openDatastore } from '../../calico/agent/source.ts';
import { systemNetlink } from '../../io/netlink.ts';
import type { ParsedOptions } from '../parse-options.ts';
import type { Terminal } from '../terminal.ts';
import { nodeNameOf, source } from './calico-options.ts';

const KERNEL_MODULE_LABEL = 'wireguard-ts.io/kernel-module';
const PAUSES_MS = [1_000, 30_000] as const;

export interface LabelParts {
  /** Checks the kernel. The check may load the module. */
  kernelHasWireguard(): Promise<boolean>;
  pause(milliseconds: number): Promise<unknown>;
}

const SYSTEM: LabelParts = { kernelHasWireguard: () => hasFamily(systemNetlink), pause: sleep };

/**
 * Labels our Node.
 * @param values the options of `wgts doctor`
 * @returns the exit status: 0 if the label is set
 */
export async function labelNode(
  values: ParsedOptions['values'],
  terminal: Terminal,
  { kernelHasWireguard, pause }: LabelParts = SYSTEM,
): Promise<number> {
  const options = source(values);
  const node = nodeNameOf(values, terminal.env);
  const value = (await kernelHasWireguard()) ? 'present' : 'absent';
  const datastore = await openDatastore({ ...options, env: terminal.env, log: () => {} });
  try {
    for (const backOff = new BackOff(...PAUSES_MS); ; ) {
      try {
        await datastore.labelNode(node, { [KERNEL_MODULE_LABEL]: value });
        terminal.out(`Node ${node}: ${KERNEL_MODULE_LABEL}=${value}\n`);
        return 0;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        terminal.err(`wgts: Node ${node} cannot be labelled ${KERNEL_MODULE_LABEL}=${value}: ${message}\n`);
        // A retry helps only if the server is unavailable.
        if (values['once'] || code !== 'EAGAIN') return 1;
        await pause(backOff.next());
      }
    }
  } finally {
    await datastore.close();
  }
}
