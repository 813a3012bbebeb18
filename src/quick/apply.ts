/**
 * Executes a plan step by step. The process may die at any step, so state is written before the
 * change that it describes.
 */

import { formatAddress } from '../base/address.ts';
import { formatPrefix } from '../base/prefix.ts';
import { isRefusal } from '../netlink/errors.ts';
import type { LinkReference } from '../netlink/links.ts';
import type { Network } from '../netlink/network.ts';
import { TABLE } from '../netlink/route.ts';
import type { QuickAddress } from './file.ts';
import { sysctlName } from './ipv6.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';
import type { QuickState } from './state.ts';
import { describeStep, kernelRule, type QuickRoute, type Step } from './step.ts';

export interface ApplierOptions {
  /** Checked before each step and after a failed step. If it returns true, the plan stops there. */
  readonly interrupted?: (() => boolean) | undefined;
  /** The end of an error message: how the caller treats the completed steps. */
  readonly afterwards?: string;
  /**
   * Turns a failed write of the state into a warning. Teardown needs this, because it must not
   * depend on space on the disk.
   */
  readonly isForgetful?: boolean;
}

export class Applier {
  readonly #host: QuickHost;
  #state: QuickState;
  readonly #interrupted: () => boolean;
  readonly #afterwards: string;
  readonly #isForgetful: boolean;

  constructor(host: QuickHost, state: QuickState, options: ApplierOptions = {}) {
    this.#host = host;
    this.#state = state;
    this.#interrupted = options.interrupted ?? (() => false);
    this.#afterwards = options.afterwards ?? 'the completed steps are rolled back';
    this.#isForgetful = options.isForgetful ?? false;
  }

  get state(): QuickState {
    return this.#state;
  }

  /**
   * Executes the steps in order. @throws the error of the first step that fails; the steps before
   * it stay done
   */
  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (this.#interrupted()) throw this.#interruption();
      const text = describeStep(step, this.#state.name);
      if (text !== undefined) this.#host.say(text);
      try {
        await this.#do(step);
      } catch (error) {
        throw this.#interrupted() ? this.#interruption() : error;
      }
    }
  }

  #interruption(): Error {
    return problem('EINTR', `interrupted: ${this.#afterwards}`);
  }

  async #do(step: Step): Promise<void> {
    const { network, devices } = this.#host;
    const { name } = this.#state;
    switch (step.do) {
      case 'remember':
        return this.#remember(step.change);
      case 'forget':
        return this.#host.removeState(name);
      case 'hook':
        await this.#host.runHook(step.command.replaceAll('%i', name), { name, file: this.#state.file });
        return this.#remember({ hooksDone: [...this.#state.hooksDone, hookKey(step)] });
      case 'make-link':
        return devices.create(name, step.kind);
      case 'remove-link':
        await removeLink(network, name);
        return devices.gone(name);
      case 'configure':
        return devices.configure(name, step.config);
      case 'add-address':
        return addAddress(network, await link(network, name), step.address);
      case 'remove-address':
        return unlessGone('EADDRNOTAVAIL', network.addresses.remove(await link(network, name), step.address));
      case 'link-up':
        return this.#linkUp(step.mtu);
      case 'set-dns':
        return this.#host.setDns(name, step.servers, step.search);
      case 'unset-dns':
        return this.#host.unsetDns(name);
      case 'set-firewall':
        return this.#host.setFirewall({ ...step.firewall, addresses: await this.#addresses(step.firewall.addresses) });
      case 'remove-firewall':
        return this.#host.removeFirewall(name);
      case 'mark-valid':
        return this.#setMarkValid(step.value, step.strict ?? []);
      case 'add-route':
        return addRoute(network, await link(network, name), step.route);
      case 'remove-route':
        return unlessGone('ESRCH', network.routes.remove({ ...step.route, link: (await link(network, name)).index }));
      case 'add-rule':
        return network.rules.add(kernelRule(step.rule, step.table));
      case 'remove-rule':
        return unlessGone('ENOENT', network.rules.remove(kernelRule(step.rule, step.table)));
      case 'save':
        return this.#host.saveFile(step.path, step.text);
    }
  }

  /**
   * Brings the link up. A userspace device opens its port only after it sees IFF_UP, and cannot
   * reject the flag, so its port is confirmed separately.
   */
  async #linkUp(mtu: number): Promise<void> {
    const { network, devices } = this.#host;
    const { name } = this.#state;
    const target = await link(network, name);
    try {
      await network.links.change(target, { mtu, up: true });
    } catch (error) {
      if (isRefusal(error, 'EADDRINUSE')) throw await devices.portInUse(name);
      throw error;
    }
    await devices.confirmPort(name);
  }

  /** Returns the addresses of the plan and those that the kernel assigned on its own. */
  async #addresses(planned: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { network } = this.#host;
    const there = await network.addresses.list(await link(network, this.#state.name));
    const all = [...planned, ...there.map(({ address }) => address)];
    return [...new Map(all.map(address => [formatAddress(address), address])).values()];
  }

  /**
   * Sets src_valid_mark. In a container, only the program that created the container may have the
   * right to do so.
   */
  #setMarkValid(value: string, strict: readonly string[]): void {
    try {
      this.#host.writeMarkValid(value);
    } catch (error) {
      if (!NOT_ALLOWED.has((error as { code?: string }).code ?? '')) throw error;
      const fix = 'docker run --sysctl net.ipv4.conf.all.src_valid_mark=1';
      const what = `net.ipv4.conf.all.src_valid_mark cannot be set to ${value} (${(error as Error).message})`;
      const [link] = strict;
      if (link !== undefined)
        throw problem(
          'ESYSCTL',
          `${what}, and without it ${link} drops the peers' answers, because its reverse path filter is strict (the larger of net.ipv4.conf.all.rp_filter and net.ipv4.conf.${sysctlName(link)}.rp_filter is 1): set it from outside, in a container ${fix}, or set rp_filter to 2`,
        );
      const need = value === '1' ? `: not needed while no path to a peer has rp_filter=1; otherwise ${fix}` : '';
      this.#host.warn(`${what}${need}`);
    }
  }

  #remember(change: Partial<Record<keyof QuickState, unknown>>): void {
    const entries = Object.entries({ ...this.#state, ...change }).filter(([, value]) => value !== undefined);
    this.#state = Object.fromEntries(entries) as unknown as QuickState;
    try {
      this.#host.writeState(this.#state);
    } catch (error) {
      if (!this.#isForgetful) throw error;
      this.#host.warn(`the state cannot be recorded: ${(error as Error).message}`);
    }
  }
}

/**
 * Adds an address.
 * @throws Error with `code` ESYSCTL if IPv6 was disabled after the link was made; the kernel would
 * only report EACCES
 */
async function addAddress(network: Network, to: LinkReference, address: QuickAddress): Promise<void> {
  try {
    await network.addresses.add(to, address);
  } catch (error) {
    if (address.address.length !== 16 || !isRefusal(error, 'EACCES')) throw error;
    const setting = `net.ipv6.conf.${sysctlName(to.name)}.disable_ipv6`;
    throw problem(
      'ESYSCTL',
      `${error.message}: ${setting} is 1: find the program that sets it, or take IPv6 out of the file`,
    );
  }
}

/**
 * Adds a route. If a hook or another program made the same route of this interface with another
 * protocol, that route is accepted as it is.
 * @throws Error with `code` EROUTE if the table has this route through another interface; the
 * kernel would only report EEXIST
 */
async function addRoute(network: Network, to: LinkReference, route: QuickRoute): Promise<void> {
  try {
    await network.routes.add({ ...route, link: to.index });
  } catch (error) {
    if (!isRefusal(error, 'EEXIST')) throw error;
    const what = formatPrefix(route.destination);
    const there = await network.routes.list({ table: route.table, link: to.index });
    if (there.some(({ destination }) => formatPrefix(destination) === what)) return;
    const table = route.table === TABLE.main ? '' : ` table ${route.table}`;
    throw problem(
      'EROUTE',
      `route ${what}${table} already exists, but not through ${to.name} (\`ip route show ${what}${table}' shows it): make AllowedIPs narrower, or set another Table`,
    );
  }
}

/** Error codes of a write below /proc/sys that this process may not make. */
const NOT_ALLOWED = new Set(['EROFS', 'EACCES', 'EPERM']);

/** Returns the text by which the state records a completed hook. */
export function hookKey({ event, index }: { readonly event: string; readonly index: number }): string {
  return `${event} ${index}`;
}

async function link(network: Network, name: string): Promise<LinkReference> {
  const found = await network.links.find(name);
  if (found) return found;
  throw problem('ENODEV', `interface ${name} is gone: another program removed it, or its process ended`);
}

/** Removes a link. Ignores the error if the link disappeared before it could be removed. */
async function removeLink(network: Network, name: string): Promise<void> {
  const found = await network.links.find(name);
  if (found) await unlessGone('ENODEV', network.links.remove(found));
}

/**
 * Awaits a removal, and ignores that another program removed the object first.
 * @param code the kernel's error for an absent object
 */
async function unlessGone(code: string, removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isRefusal(error, code)) throw error;
  }
}
