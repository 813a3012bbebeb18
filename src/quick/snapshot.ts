/**
 * The parts of the kernel's state that matter for one interface. They are read before every plan. A
 * plan uses no other information about the kernel.
 */
import type { DeviceStatus } from '../config/model.ts';
import type { InterfaceAddress } from '../netlink/addresses.ts';
import { isRefusal } from '../netlink/errors.ts';
import type { Link } from '../netlink/links.ts';
import type { Route } from '../netlink/route.ts';
import type { Rule } from '../netlink/rules.ts';
import type { QuickHost } from './ports.ts';

export interface Snapshot {
  readonly link?: Link;
  /** Absent also if no process serves the link. */
  readonly status?: DeviceStatus;
  readonly addresses: readonly InterfaceAddress[];
  /** The routes through this link, in all tables. */
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly markValid?: string;
}

export async function readSnapshot(host: QuickHost, name: string): Promise<Snapshot> {
  const { network, devices } = host;
  const markValid = host.readMarkValid();
  const rules = await network.rules.list();
  const link = await network.links.find(name);
  const common = { rules, ...(markValid !== undefined && { markValid }) };
  if (!link) return { ...common, addresses: [], routes: [] };
  try {
    const status = await devices.status(name);
    const addresses = await network.addresses.list(link);
    const routes = await network.routes.list({ link: link.index });
    return { ...common, link, ...(status && { status }), addresses, routes };
  } catch (error) {
    // After the lookup, the interface's process ended or another program removed the interface.
    if (!isRefusal(error, 'ENODEV') || (await network.links.find(name))?.index === link.index) throw error;
    return { ...common, addresses: [], routes: [] };
  }
}
