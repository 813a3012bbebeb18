/**
 * Implements `--backend`: decides what runs a new interface. `auto` asks the kernel for the generic
 * netlink family `wireguard`, then creates the link, and uses userspace if either fails. Each
 * decision comes with its reason.
 *
 * This program does not run modprobe. Both requests make the kernel load the module itself (the
 * aliases net-pf-16-proto-16-family-wireguard and rtnl-link-wireguard), with the modprobe and the
 * modules of the host. A modprobe in a container would search the container for modules.
 */
import { codedError } from '../base/coded-error.ts';
import { isRefusal } from '../netlink/errors.ts';
import { GenericNetlink } from '../netlink/genetlink.ts';
import type { Link } from '../netlink/links.ts';
import { Network } from '../netlink/network.ts';
import type { NetlinkPort } from '../netlink/port.ts';
import { WIREGUARD } from '../netlink/wireguard-layout.ts';
import { RIGHT_NEEDED, WIREGUARD_KIND } from './kernel.ts';
import type { BackendChoice } from './names.ts';

export { BACKENDS, type BackendChoice } from './names.ts';

/** The decision of {@link takeBackend}, and its reason for people. */
export type Taken = TakenKernel | TakenUserspace;

/** The kernel runs the interface. */
export interface TakenKernel {
  /** Tells the two decisions apart. */
  readonly kind: 'kernel';
  /** The link, which was just made and is still down. */
  readonly link: Link;
  /** The reason, for people. */
  readonly reason: string;
}

/** A userspace process must run the interface. */
export interface TakenUserspace {
  /** Tells the two decisions apart. */
  readonly kind: 'userspace';
  /** The name to pass to `makeBackend`. */
  readonly by: 'auto' | 'native' | 'pure';
  /** The reason, for people. */
  readonly reason: string;
}

/** The input of {@link takeBackend}. */
export interface TakeOptions {
  /** Name of the new interface. */
  readonly name: string;
  /** Where netlink sockets come from. */
  readonly port: NetlinkPort;
  /** True if the caller passed an open TUN device, which only userspace can use. */
  readonly adoptsTun?: boolean;
}

/**
 * Decides what runs a new interface. If it is the kernel, this makes the link, which is the only
 * reliable test.
 * @throws Error with `code`: EEXIST if the name is in use. For `kernel`, also for any other
 * obstacle; the message then names the remedy.
 */
export async function takeBackend(backend: BackendChoice, { name, port, adoptsTun }: TakeOptions): Promise<Taken> {
  if (backend === 'native' || backend === 'pure') return { kind: 'userspace', by: backend, reason: 'asked for' };
  const userspace = (reason: string): Taken => ({ kind: 'userspace', by: 'auto', reason });
  if (backend === 'userspace') return userspace('asked for');
  if (adoptsTun) {
    if (backend === 'auto') return userspace('an open TUN was passed');
    throw codedError('EINVAL', 'backend kernel: an open TUN was passed, which only userspace can use');
  }
  const made = await makeLink(name, port);
  if ('link' in made) return { kind: 'kernel', ...made, reason: 'the kernel has WireGuard itself' };
  const { problem, code, existing } = made;
  if (code === 'EEXIST' && !(backend === 'auto' && existing?.kind === 'tun'))
    throw codedError(
      code,
      `${name} exists already${kindOf(existing)}: take another name, or remove it (ip link delete ${name})`,
    );
  if (backend === 'auto') return userspace(problem);
  throw codedError(code, `backend kernel: ${problem}; ${remedy(code)}`);
}

/** Returns what `auto` would choose here. Creates a link for an instant to find out. */
export async function wouldTake(port: NetlinkPort, name: string): Promise<Pick<Taken, 'kind' | 'reason'>> {
  const { kind, reason, ...taken } = await takeBackend('auto', { name, port });
  if ('link' in taken) await withNetwork(port, ({ links }) => links.remove(taken.link));
  return { kind, reason };
}

interface Failure {
  readonly problem: string;
  readonly code: string;
  /** The link that already has the name. */
  readonly existing?: Link | undefined;
}

async function makeLink(name: string, port: NetlinkPort): Promise<{ link: Link } | Failure> {
  try {
    const before = await hasFamily(port);
    return await withNetwork(port, async ({ links }) => {
      let link: Link;
      try {
        link = await links.create({ name, kind: WIREGUARD_KIND });
      } catch (error) {
        if (isRefusal(error, 'EEXIST')) return { ...failure(error), existing: await links.find(name) };
        const lacks = !before && isRefusal(error, 'EOPNOTSUPP');
        return { ...failure(error), ...(lacks && { problem: `the kernel has no WireGuard (${message(error)})` }) };
      }
      // creating the link may have loaded the module
      if (before || (await hasFamily(port))) return { link };
      await links.remove(link);
      return {
        problem: `the kernel makes links of kind ${WIREGUARD_KIND}, but has no netlink family to configure them`,
        code: 'ENOENT',
      };
    });
  } catch (error) {
    return failure(error);
  }
}

/**
 * Reports whether the kernel has the family `wireguard`. The request may make the kernel load the
 * module.
 */
export async function hasFamily(port: NetlinkPort): Promise<boolean> {
  const generic = new GenericNetlink(port);
  try {
    return (await generic.family(WIREGUARD.name)) !== undefined;
  } finally {
    generic.close();
  }
}

async function withNetwork<T>(port: NetlinkPort, use: (network: Network) => Promise<T>): Promise<T> {
  const network = new Network(port);
  try {
    return await use(network);
  } finally {
    network.close();
  }
}

function failure(error: unknown): Failure {
  const { code = '' } = error as NodeJS.ErrnoException;
  return { problem: message(error), code };
}

function message(error: unknown): string {
  return (error as Error).message;
}

function kindOf(link: Link | undefined): string {
  return link?.kind ? `, of kind ${link.kind}` : '';
}

function remedy(code: string): string {
  if (code === 'EPERM' || code === 'EACCES') return `${RIGHT_NEEDED}; without root try it inside: unshare -Urn`;
  return (
    'load the module (modprobe wireguard, on the host where this is a container), run a kernel that has it (Linux 5.6 or newer, ' +
    'built with CONFIG_WIREGUARD), or take userspace: --backend=auto'
  );
}
