/**
 * Manages the tunnel of one family on this node: brings it up, keeps it as planned, or removes it,
 * in the order of docs/reference/calico-felix.md#order-and-resync. The seal and the unreachable
 * routes are in place before any packet may flow. The rule is added last and removed first.
 *
 * The applied state is remembered, so that a new plan only costs its difference. After a failure,
 * no state is assumed: the next call reads everything again.
 */

import { formatAddress } from '../../base/address.ts';
import { codedError } from '../../base/coded-error.ts';
import { isInterfaceName } from '../../base/interface-name.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import { eraseStatus } from '../../config/model.ts';
import type { DeviceKind } from '../../quick/state.ts';
import type { DesiredPeer, DesiredTunnel } from '../model/desired.ts';
import { ensureAddress } from './device/address.ts';
import { ensureDevice, samePeer, updateDevice } from './device/device.ts';
import { type HandshakeRefresh, peersToRefresh, refreshHandshakes } from './device/fresh-handshakes.ts';
import { ensureLink, removeLink } from './device/link.ts';
import { findInherited, isRunning, type RunningDevice } from './device/running.ts';
import { ensureSysctls, ensureThreading } from './device/sysctl.ts';
import { bothSealed, ensureTable, firewallTable, sameFirewall } from './firewall/firewall.ts';
import type { ApplyContext, Owned } from './ports.ts';
import { blockRoutes, emptyTable, ensureRoutes, isOwnTable, updateRoutes } from './routing/routes.ts';
import { ensureRule, removeRules } from './routing/rule.ts';

type Step = 'plan' | 'record' | 'cleanup' | 'sysctl' | 'firewall' | 'link' | 'address' | 'device' | 'routes' | 'rule';

export interface AppliedTunnel {
  /**
   * Whether packets may flow, so that the key may be published. Stays true after a failure while
   * the previous tunnel still runs, also one that the previous agent left.
   */
  readonly ready: boolean;
  readonly interfaceName: string;
  readonly backend?: DeviceKind;
  /** The device's public key in base64. */
  readonly publicKey?: string;
  /** The step that failed. All steps before it are complete. */
  readonly error?: { readonly step: Step; readonly message: string };
}

/** A tunnel that this process brought up completely. */
interface AppliedRecord extends RunningDevice {
  readonly tunnel: DesiredTunnel;
}

export class Tunnel {
  /**
   * The tunnel as last applied. Undefined after a failure, so that the next call reads everything.
   */
  #applied: AppliedRecord | undefined;
  /** The firewall table as last set, and its fingerprint. */
  #firewall: { readonly tunnel: DesiredTunnel; readonly text: string | undefined } | undefined;
  /**
   * What carries packets, even if a later step failed: a tunnel of this process, or until it has
   * applied a plan, one that a previous agent left.
   */
  #running: RunningDevice | undefined;
  #isWithdrawn = false;

  /** Returns whether the applied tunnel uses this link or this table. */
  uses({ link, table }: { readonly link?: number; readonly table?: number }): boolean {
    const applied = this.#applied;
    return applied !== undefined && (applied.link === link || applied.tunnel.table === table);
  }

  /**
   * Applies the desired tunnel. Never throws: failures are in the result.
   * @param others what we own under other names; it is removed
   * @param full reads the kernel's state instead of trusting the remembered one
   */
  async apply(
    context: ApplyContext,
    tunnel: DesiredTunnel,
    others: readonly Owned[],
    full: boolean,
  ): Promise<AppliedTunnel> {
    const { interfaceName } = tunnel;
    const before = full ? undefined : this.#applied;
    this.#applied = undefined;
    this.#isWithdrawn = false;
    let step: Step = 'plan';
    try {
      validate(tunnel);
      step = 'cleanup';
      for (const { interfaceName: name, table } of others) {
        if (name === this.#running?.tunnel?.interfaceName) this.#running = undefined;
        if (table !== tunnel.table) await removeRules(context, table);
        if (table !== tunnel.table) await emptyTable(context, table);
        if (name !== interfaceName) await removeLink(context, name);
      }
      step = 'sysctl';
      ensureSysctls(context, tunnel);
      step = 'firewall';
      await this.#seal(context, tunnel, before === undefined);
      step = 'link';
      const { link, backend, isAdopted } = await ensureLink(context, tunnel, before?.link);
      const isSame = before?.link === link.index && before.tunnel.table === tunnel.table && !isAdopted;
      const same = isSame ? before : undefined;
      step = 'address';
      const blockTunnelRoutes = (): Promise<void> => blockRoutes(context, link.index, tunnel);
      const lostAddress =
        (!same || !sameAddress(same.tunnel, tunnel)) && (await ensureAddress(context, link, tunnel, blockTunnelRoutes));
      if (lostAddress && same) await ensureRoutes(context, link.index, same.tunnel);
      step = 'device';
      const publicKey = same?.publicKey ?? (await ensureDevice(context, tunnel, backend));
      if (same) await updateDevice(context, same.tunnel, tunnel, backend, publicKey);
      step = 'routes';
      if (same) await updateRoutes(context, link.index, same.tunnel, tunnel);
      else await ensureRoutes(context, link.index, tunnel);
      step = 'firewall';
      if (!same || !this.#firewall || !sameFirewall(this.#firewall.tunnel, tunnel))
        await this.#setTable(context, tunnel);
      step = 'sysctl';
      if (
        backend === 'kernel' &&
        tunnel.peers.size > 0 &&
        !(same?.tunnel.threaded === tunnel.threaded && same.tunnel.peers.size > 0)
      )
        ensureThreading(context, tunnel);
      step = 'rule';
      if (!same || !sameRule(same.tunnel, tunnel)) await ensureRule(context, tunnel);
      this.#applied = { tunnel, interfaceName, link: link.index, backend, publicKey };
      this.#running = this.#applied;
      return { ready: true, interfaceName, backend, publicKey };
    } catch (error) {
      return this.failure(context, interfaceName, step, error as Error);
    }
  }

  /** Returns the result of an apply that failed: the tunnel that ran before may still run. */
  async failure(context: ApplyContext, interfaceName: string, step: Step, error: Error): Promise<AppliedTunnel> {
    if (this.#running && !(await isRunning(context, this.#running))) this.#running = undefined;
    const running = this.#running;
    return {
      ready: running !== undefined,
      interfaceName,
      ...(running && { backend: running.backend, publicKey: running.publicKey }),
      error: { step, message: error.message },
    };
  }

  /**
   * Looks for the tunnel that a previous agent left. The other nodes use it, so its key must stay
   * published while this agent cannot apply its first plan. Call it before any change.
   */
  async inherit(context: ApplyContext, candidates: readonly Owned[]): Promise<void> {
    this.#running ??= await findInherited(context, candidates);
  }

  /** Removes the tunnel. Idempotent. @returns the failure, or undefined */
  async withdraw(context: ApplyContext, owned: readonly Owned[], full: boolean): Promise<AppliedTunnel['error']> {
    if (this.#isWithdrawn && !full) return undefined;
    this.#applied = undefined;
    this.#running = undefined;
    let step: Step = 'rule';
    try {
      for (const { table } of owned) await removeRules(context, table);
      step = 'routes';
      for (const { table } of owned) await emptyTable(context, table);
      step = 'link';
      for (const { interfaceName } of owned) await removeLink(context, interfaceName);
      step = 'firewall';
      await ensureTable(context, undefined, undefined);
      this.#firewall = undefined;
      this.#isWithdrawn = true;
      return undefined;
    } catch (error) {
      return { step, message: (error as Error).message };
    }
  }

  /**
   * Returns the peers that may have lost their session with us (fresh-handshakes.ts). Returns an
   * empty list while no tunnel of this process runs.
   */
  async peersToRefresh({ host }: ApplyContext, request: HandshakeRefresh): Promise<readonly DesiredPeer[]> {
    if (!this.#running?.tunnel) return [];
    const { interfaceName, tunnel, backend } = this.#running;
    const status = await host.devices.status(interfaceName);
    if (status) eraseStatus(status);
    return peersToRefresh(tunnel, status?.peers ?? [], request, backend, host.wallTime());
  }

  /** Begins handshakes with those given peers that the current plan still contains unchanged. */
  async refreshHandshakes(context: ApplyContext, peers: readonly DesiredPeer[]): Promise<void> {
    if (!this.#running?.tunnel) return;
    const { tunnel, backend } = this.#running;
    const still = peers.filter(peer => samePeer(peer, tunnel.peers.get(formatKeyBase64(peer.publicKey))));
    await refreshHandshakes(context, tunnel, backend, still);
  }

  /**
   * Seals the new and the previously sealed prefixes before any other step.
   * @param reread true if another program may have changed the table
   */
  async #seal(context: ApplyContext, tunnel: DesiredTunnel, reread: boolean): Promise<void> {
    const { sealed } = tunnel.firewall;
    if (sealed.length === 0) return;
    const before = this.#firewall?.tunnel;
    const previous = before?.firewall.sealed ?? [];
    const both = bothSealed(previous, sealed);
    if (!reread && before && both.length === previous.length && before.interfaceName === tunnel.interfaceName) return;
    await this.#setTable(context, { ...tunnel, firewall: { ...tunnel.firewall, sealed: both } });
  }

  async #setTable(context: ApplyContext, tunnel: DesiredTunnel): Promise<void> {
    const fingerprint = this.#firewall && sameFirewall(this.#firewall.tunnel, tunnel) ? this.#firewall.text : undefined;
    const text = await ensureTable(context, firewallTable(tunnel), fingerprint);
    this.#firewall = { tunnel, text };
  }
}

/** Rejects settings with which the agent would take over resources of the system. */
function validate({ interfaceName, table, mark, rulePriority, mtu }: DesiredTunnel): void {
  const bad = (what: string, fix: string): Error => codedError('EINVAL', `${what} cannot be used: ${fix}`);
  if (!isInterfaceName(interfaceName))
    throw bad(`interface name ${JSON.stringify(interfaceName)}`, 'choose 1 to 15 characters, no slash, colon or space');
  if (!isOwnTable(table))
    throw bad(`route table ${table}`, 'choose one that no other program uses, not 0 and not 253 to 255');
  if (!(mark > 0))
    throw bad(`mark ${mark}`, 'choose one with a bit set, or the tunnel would route its own datagrams into itself');
  if (!(rulePriority > 0)) throw bad(`rule priority ${rulePriority}`, "choose 1 or more: 0 is the local table's");
  if (!(mtu > 0)) throw bad(`MTU ${mtu}`, 'choose one above 0');
}

function sameAddress(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return (a.address && formatAddress(a.address)) === (b.address && formatAddress(b.address));
}

function sameRule(a: DesiredTunnel, b: DesiredTunnel): boolean {
  return a.rulePriority === b.rulePriority && a.mark === b.mark && a.table === b.table;
}
