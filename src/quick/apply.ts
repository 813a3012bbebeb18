/** Does one step after another. Each may be the last that this process does: what is remembered is written before what it is about. */

import { formatAddress } from '../base/address.ts';
import { isRefusal } from '../netlink/errors.ts';
import type { LinkReference } from '../netlink/links.ts';
import type { Network } from '../netlink/network.ts';
import type { QuickHost } from './ports.ts';
import { problem } from './problem.ts';
import type { QuickState } from './state.ts';
import { describeStep, kernelRule, type Step } from './step.ts';

export class Applier {
  readonly #host: QuickHost;
  #state: QuickState;
  readonly #interrupted: () => boolean;

  /** @param interrupted asked before each step: true ends it there */
  constructor(host: QuickHost, state: QuickState, interrupted: () => boolean = () => false) {
    this.#host = host;
    this.#state = state;
    this.#interrupted = interrupted;
  }

  get state(): QuickState {
    return this.#state;
  }

  /** @throws whatever a step fails with; the steps before it are done */
  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (this.#interrupted()) throw problem('EINTR', 'interrupted: what was done is taken back');
      const text = describeStep(step, this.#state.name);
      if (text !== undefined) this.#host.say(text);
      await this.#do(step);
    }
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
        await this.#host.runHook(step.command.replaceAll('%i', name));
        return this.#remember({ hooksDone: [...this.#state.hooksDone, hookKey(step)] });
      case 'make-link':
        return devices.create(name, step.kind);
      case 'remove-link':
        await removeLink(network, name);
        return devices.gone(name);
      case 'configure':
        return devices.configure(name, step.config);
      case 'add-address':
        return network.addresses.add(await link(network, name), step.address);
      case 'remove-address':
        return network.addresses.remove(await link(network, name), step.address);
      case 'link-up':
        return network.links.change(await link(network, name), { mtu: step.mtu, up: true });
      case 'set-dns':
        return this.#host.setDns(name, step.servers, step.search);
      case 'unset-dns':
        return this.#host.unsetDns(name);
      case 'set-firewall':
        return this.#host.setFirewall({ ...step.firewall, addresses: await this.#addresses(step.firewall.addresses) });
      case 'remove-firewall':
        return this.#host.removeFirewall(name);
      case 'mark-valid':
        return this.#host.writeMarkValid(step.value);
      case 'add-route':
        return network.routes.add({ ...step.route, link: (await link(network, name)).index });
      case 'remove-route':
        return network.routes.remove({ ...step.route, link: (await link(network, name)).index });
      case 'add-rule':
        return network.rules.add(kernelRule(step.rule, step.table));
      case 'remove-rule':
        return network.rules.remove(kernelRule(step.rule, step.table));
      case 'save':
        return this.#host.saveFile(step.path, step.text);
    }
  }

  /** Those of the plan, and those that the kernel gave the interface by itself. */
  async #addresses(planned: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { network } = this.#host;
    const there = await network.addresses.list(await link(network, this.#state.name));
    const all = [...planned, ...there.map(({ address }) => address)];
    return [...new Map(all.map(address => [formatAddress(address), address])).values()];
  }

  #remember(change: Partial<Record<keyof QuickState, unknown>>): void {
    const entries = Object.entries({ ...this.#state, ...change }).filter(([, value]) => value !== undefined);
    this.#state = Object.fromEntries(entries) as unknown as QuickState;
    this.#host.writeState(this.#state);
  }
}

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
  try {
    if (found) await network.links.remove(found);
  } catch (error) {
    if (!isRefusal(error, 'ENODEV')) throw error;
  }
}
