/**
 * Formats the file from the current state of the interface: wg-quick's keys, then the lines of `wg
 * showconf`. Comments are lost, as in wg-quick.
 */
import { formatAddress } from '../base/address.ts';
import { formatConf } from '../config/conf.ts';
import type { DeviceStatus } from '../config/model.ts';
import type { Zones } from '../config/zones.ts';
import { type InterfaceAddress, SCOPE } from '../netlink/addresses.ts';
import { HOOK_EVENTS, type QuickFile } from './file.ts';

export interface SavedState {
  readonly status: DeviceStatus;
  readonly addresses: readonly InterfaceAddress[];
  /** MTU of the interface. */
  readonly mtu: number;
  /** The mark that `up` chose itself, which the file must not contain. */
  readonly ownMark: number | undefined;
  /**
   * Whether IPv6 is or was disabled. The file then keeps its IPv6 addresses although the interface
   * does not have them.
   */
  readonly lacksIpv6?: boolean | undefined;
}

export function formatQuickFile(file: QuickFile, state: SavedState, zones: Zones): string {
  const { status, ownMark } = state;
  const said = new Set(file.addresses.map(({ address }) => formatAddress(address)));
  const own = state.addresses
    // Leave out link-local addresses: the kernel assigned them, and the file does not list them.
    .filter(({ address, scope }) => scope !== SCOPE.link || said.has(formatAddress(address)))
    .toSorted((a, b) => a.address.length - b.address.length);
  const there = new Set(own.map(({ address }) => formatAddress(address)));
  const missing = file.addresses.filter(({ address }) => address.length === 16 && !there.has(formatAddress(address)));
  const lines = [
    '[Interface]',
    ...[...own, ...(state.lacksIpv6 ? missing : [])].map(
      ({ address, prefixLength }) => `Address = ${formatAddress(address)}/${prefixLength}`,
    ),
    ...[...file.dns, ...file.search].map(item => `DNS = ${item}`),
    ...(file.mtu === undefined ? [] : [`MTU = ${state.mtu}`]),
    ...(file.tableText === undefined ? [] : [`Table = ${file.tableText}`]),
    ...(file.saveConfig ? ['SaveConfig = true'] : []),
    ...HOOK_EVENTS.flatMap(event => file.hooks[event].map(command => `${event} = ${command}`)),
  ];
  const fwmark = status.fwmark === ownMark ? 0 : status.fwmark;
  const rest = formatConf({ ...status, fwmark }, zones).replace(/^\[Interface\]\n/, '');
  return `${lines.join('\n')}\n${rest}`;
}
