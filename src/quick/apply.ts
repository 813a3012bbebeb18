/** Does one step after another. Each may be the last that this process does: what is remembered is written before what it is about. */

import { formatAddress } from '../base/address.ts';
import { formatPrefix } from '../base/prefix.ts';
import { isRefusal } from '../netlink/errors.ts';
import type { LinkReference } from '../netlink/links.ts';
import type { Network } from '../netlink/network.ts';
import { TABLE } from '../netlink/route.ts';
import type { QuickAddress } from './file.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';
import type { QuickState } from './state.ts';
import { describeStep, kernelRule, type QuickRoute, type Step } from './step.ts';
import { sysctlName } from './surroundings.ts';

export interface ApplierOptions {
  /** Asked before each step, and after one that failed: true ends it there. */
  readonly interrupted?: (() => boolean) | undefined;
  /** What the caller does about the steps that are done then, for the message. */
  readonly afterwards?: string;
  /** What cannot be written down is only warned of: for the way back, which must not depend on a full disk. */
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
    this.#afterwards = options.afterwards ?? 'what was done is taken back';
    this.#isForgetful = options.isForgetful ?? false;
  }

  get state(): QuickState {
    return this.#state;
  }

  /** @throws whatever a step fails with; the steps before it are done */
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

  /** Up is more than the flag: a userspace device opens its port when it sees the flag, and cannot refuse it. */
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

  /** Those of the plan, and those that the kernel gave the interface by itself. */
  async #addresses(planned: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { network } = this.#host;
    const there = await network.addresses.list(await link(network, this.#state.name));
    const all = [...planned, ...there.map(({ address }) => address)];
    return [...new Map(all.map(address => [formatAddress(address), address])).values()];
  }

  /** In a container it may be for the container's maker alone to set. */
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
          `${what}, and without it ${link} drops what peers answer, for its reverse path filter is strict (the larger of net.ipv4.conf.all.rp_filter and net.ipv4.conf.${sysctlName(link)}.rp_filter is 1): set it from outside, in a container ${fix}, or set rp_filter to 2`,
        );
      const need = value === '1' ? `: not needed as long as no way to a peer has rp_filter=1; otherwise ${fix}` : '';
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
      this.#host.warn(`what is done cannot be remembered: ${(error as Error).message}`);
    }
  }
}

/** @throws Error with `code` ESYSCTL where IPv6 was switched off since the link was made, of which the kernel says no more than EACCES */
async function addAddress(network: Network, to: LinkReference, address: QuickAddress): Promise<void> {
  try {
    await network.addresses.add(to, address);
  } catch (error) {
    if (address.address.length !== 16 || !isRefusal(error, 'EACCES')) throw error;
    const setting = `net.ipv6.conf.${sysctlName(to.name)}.disable_ipv6`;
    throw problem(
      'ESYSCTL',
      `${error.message}: ${setting} is 1; whatever sets it must not, or take IPv6 out of the file`,
    );
  }
}

/**
 * One that a hook or another program made for this interface, with a protocol of its own, is as good.
 * @throws Error with `code` EROUTE where the table has such a route by another, of which the kernel says no more than EEXIST
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
      `route ${what}${table} is there already, and not by ${to.name} (\`ip route show ${what}${table}' shows it): make AllowedIPs narrower, or set another Table`,
    );
  }
}

/** What the system says of a file below /proc/sys that is another's to write. */
const NOT_ALLOWED = new Set(['EROFS', 'EACCES', 'EPERM']);

/** How a hook that ran is remembered. */
export function hookKey({ event, index }: { readonly event: string; readonly index: number }): string {
  return `${event} ${index}`;
}

async function link(network: Network, name: string): Promise<LinkReference> {
  const found = await network.links.find(name);
  if (found) return found;
  throw problem('ENODEV', `interface ${name} is gone: somebody removed it, or its process ended`);
}

/** One that goes by itself meanwhile is as good. */
async function removeLink(network: Network, name: string): Promise<void> {
  const found = await network.links.find(name);
  if (found) await unlessGone('ENODEV', network.links.remove(found));
}

/** @param code with which the kernel says that there is no such thing: another program removed it since it was listed */
async function unlessGone(code: string, removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isRefusal(error, code)) throw error;
  }
}
