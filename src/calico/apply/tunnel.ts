/**
 * The tunnel of one family on this node: brought up and kept as planned, or taken away, in the order of docs/reference/calico-felix.md#order-and-resync. The seal and the
 * routes that lead nowhere are there before anything may flow, the rule comes last, and goes first.
 *
 * What was done is remembered, so that a new plan costs only its difference. After a failure nothing is taken for granted: everything is read again.
 */

import { formatAddress } from '../../base/address.ts';
import { codedError } from '../../base/coded-error.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import { eraseStatus } from '../../config/model.ts';
import { isLinkName } from '../../netlink/links.ts';
import type { BackendKind } from '../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../model/desired.ts';
import { ensureAddress } from './device/address.ts';
import { changeDevice, ensureDevice, samePeer } from './device/device.ts';
import { type HandshakeRefresh, peersToRefresh, refreshHandshakes } from './device/fresh-handshakes.ts';
import { ensureLink, removeLink } from './device/link.ts';
import { ensureSysctls, ensureThreading } from './device/sysctl.ts';
import { bothSealed, ensureTable, firewallTable, sameFirewall } from './firewall/firewall.ts';
import type { Owned, Work } from './ports.ts';
import { changeRoutes, closeRoutes, emptyTable, ensureRoutes, isOwnTable } from './routing/routes.ts';
import { ensureRule, removeRules } from './routing/rule.ts';

export type Step =
  | 'plan'
  | 'record'
  | 'cleanup'
  | 'sysctl'
  | 'firewall'
  | 'link'
  | 'address'
  | 'device'
  | 'routes'
  | 'rule';

export interface AppliedTunnel {
  /** Packets may flow: the key may be published. After a failure, as long as the tunnel from before still runs. */
  readonly ready: boolean;
  readonly interfaceName: string;
  readonly backend?: BackendKind;
  /** In base64. */
  readonly publicKey?: string;
  /** What failed; all before it in the order is done. */
  readonly error?: { readonly step: Step; readonly message: string };
}

/** The last tunnel that was brought up whole, as far as this process knows. */
interface Known {
  readonly tunnel: DesiredTunnel;
  readonly link: number;
  readonly backend: BackendKind;
  readonly publicKey: string;
}

export class Tunnel {
  #known: Known | undefined;
  /** The firewall that was put in place, and how it reads. */
  #table: { readonly tunnel: DesiredTunnel; readonly text: string | undefined } | undefined;
  /** What flows, even if something failed since. */
  #running: Known | undefined;
  #withdrawn = false;

  /** Whether this is about the tunnel as it was left: its link, or its table. */
  concerns({ link, table }: { readonly link?: number; readonly table?: number }): boolean {
    const known = this.#known;
    return known !== undefined && (known.link === link || known.tunnel.table === table);
  }

  /** @param full read the kernel's state, rather than go by what was done. @returns never throws: what failed is in it */
  async apply(work: Work, tunnel: DesiredTunnel, others: readonly Owned[], full: boolean): Promise<AppliedTunnel> {
    const { interfaceName } = tunnel;
    const before = full ? undefined : this.#known;
    this.#known = undefined;
    this.#withdrawn = false;
    let step: Step = 'plan';
    try {
      check(tunnel);
      step = 'cleanup';
      for (const { interfaceName: name, table } of others) {
        if (name === this.#running?.tunnel.interfaceName) this.#running = undefined;
        if (table !== tunnel.table) await removeRules(work, table);
        if (table !== tunnel.table) await emptyTable(work, table);
        if (name !== interfaceName) await removeLink(work, name);
      }
      step = 'sysctl';
      ensureSysctls(work, tunnel);
      step = 'firewall';
      await this.#seal(work, tunnel, before === undefined);
      step = 'link';
      const { link, backend } = await ensureLink(work, tunnel, before?.link);
      const same = before && before.link === link.index && before.tunnel.table === tunnel.table ? before : undefined;
      step = 'address';
      const shield = (): Promise<void> => closeRoutes(work, link.index, tunnel);
      const wasBare = (!same || !sameAddress(same.tunnel, tunnel)) && (await ensureAddress(work, link, tunnel, shield));
      if (wasBare && same) await ensureRoutes(work, link.index, same.tunnel);
      step = 'device';
      const publicKey = same?.publicKey ?? (await ensureDevice(work, tunnel, backend));
      if (same) await changeDevice(work, same.tunnel, tunnel, backend, publicKey);
      step = 'routes';
      if (same) await changeRoutes(work, link.index, same.tunnel, tunnel);
      else await ensureRoutes(work, link.index, tunnel);
      step = 'firewall';
      if (!same || !this.#table || !sameFirewall(this.#table.tunnel, tunnel)) await this.#setTable(work, tunnel);
      step = 'sysctl';
      if (
        backend === 'kernel' &&
        tunnel.peers.size > 0 &&
        !(same?.tunnel.threaded === tunnel.threaded && same.tunnel.peers.size > 0)
      )
        ensureThreading(work, tunnel);
      step = 'rule';
      if (!same || !sameRule(same.tunnel, tunnel)) await ensureRule(work, tunnel);
      this.#known = { tunnel, link: link.index, backend, publicKey };
      this.#running = this.#known;
      return { ready: true, interfaceName, backend, publicKey };
    } catch (error) {
      if (this.#running && !(await this.#runs(work, this.#running))) this.#running = undefined;
      const running = this.#running;
      return {
        ready: running !== undefined,
        interfaceName,
        ...(running && { backend: running.backend, publicKey: running.publicKey }),
        error: { step, message: (error as Error).message },
      };
    }
  }

  /** Idempotent. @returns what failed */
  async withdraw(work: Work, owned: readonly Owned[], full: boolean): Promise<AppliedTunnel['error']> {
    if (this.#withdrawn && !full) return undefined;
    this.#known = undefined;
    this.#running = undefined;
    let step: Step = 'rule';
    try {
      for (const { table } of owned) await removeRules(work, table);
      step = 'routes';
      for (const { table } of owned) await emptyTable(work, table);
      step = 'link';
      for (const { interfaceName } of owned) await removeLink(work, interfaceName);
      step = 'firewall';
      await ensureTable(work, undefined, undefined);
      this.#table = undefined;
      this.#withdrawn = true;
      return undefined;
    } catch (error) {
      return { step, message: (error as Error).message };
    }
  }

  /** Returns the peers that may have lost their session with us (greeting.ts); none while no tunnel runs. */
  async peersToRefresh({ host }: Work, greeting: HandshakeRefresh): Promise<readonly DesiredPeer[]> {
    const running = this.#running;
    if (!running) return [];
    const status = await host.devices.status(running.tunnel.interfaceName);
    if (status) eraseStatus(status);
    return peersToRefresh(running.tunnel, status?.peers ?? [], greeting, running.backend, host.wallTime());
  }

  /** Greets those of them that are still planned as they were. */
  async refreshHandshakes(work: Work, peers: readonly DesiredPeer[]): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const { tunnel, backend } = running;
    const still = peers.filter(peer => samePeer(peer, tunnel.peers.get(formatKeyBase64(peer.publicKey))));
    await refreshHandshakes(work, tunnel, backend, still);
  }

  /** Before anything else: what is sealed now, and what was until now. @param look whether it may have been taken away by another */
  async #seal(work: Work, tunnel: DesiredTunnel, look: boolean): Promise<void> {
    const { sealed } = tunnel.firewall;
    if (sealed.length === 0) return;
    const before = this.#table?.tunnel;
    const was = before?.firewall.sealed ?? [];
    const both = bothSealed(was, sealed);
    if (!look && before && both.length === was.length && before.interfaceName === tunnel.interfaceName) return;
    await this.#setTable(work, { ...tunnel, firewall: { ...tunnel.firewall, sealed: both } });
  }

  async #setTable(work: Work, tunnel: DesiredTunnel): Promise<void> {
    const left = this.#table && sameFirewall(this.#table.tunnel, tunnel) ? this.#table.text : undefined;
    const text = await ensureTable(work, firewallTable(tunnel), left);
    this.#table = { tunnel, text };
  }

  async #runs({ host }: Work, { link, tunnel }: Known): Promise<boolean> {
    try {
      const found = await host.network.links.find(link);
      if (found?.name !== tunnel.interfaceName) return false;
      const status = await host.devices.status(tunnel.interfaceName);
      if (status) eraseStatus(status);
      return status !== undefined;
    } catch {
      return false;
    }
  }
}

/** What would have us take what is everybody's for ours. */
function check({ interfaceName, table, mark, rulePriority, mtu }: DesiredTunnel): void {
  const bad = (what: string, fix: string): Error => codedError('EINVAL', `${what} cannot be: ${fix}`);
  if (!isLinkName(interfaceName))
    throw bad(`interface name ${JSON.stringify(interfaceName)}`, 'take 1 to 15 characters, no slash, colon or space');
  if (!isOwnTable(table)) throw bad(`route table ${table}`, 'take one that nobody else uses, not 0 and not 253 to 255');
  if (!(mark > 0))
    throw bad(`mark ${mark}`, 'take one with a bit set, or the tunnel would route its own datagrams into itself');
  if (!(rulePriority > 0)) throw bad(`rule priority ${rulePriority}`, "take one from 1 on: 0 is the local table's");
  if (!(mtu > 0)) throw bad(`MTU ${mtu}`, 'take one above 0');
}

function sameAddress(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return (a.address && formatAddress(a.address)) === (b.address && formatAddress(b.address));
}

function sameRule(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return a.rulePriority === b.rulePriority && a.mark === b.mark && a.table === b.table;
}
