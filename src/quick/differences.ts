/**
 * Describes for people what a plan would change: each setting with its observed and desired value,
 * and peers by the first characters of their keys. Secrets never appear. Pure.
 */
import { formatEndpoint } from '../base/endpoint.ts';
import { formatKeyHex, isZeroKey } from '../base/key.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
import { shortKey } from './likely-mistakes.ts';
import type { QuickState } from './state.ts';
import { describeStep, type Step } from './step.ts';

const MOST_PREFIXES = 8;

export interface Present {
  readonly status: DeviceStatus;
  readonly mtu: number;
  readonly state: QuickState;
}

/** Returns one line for each difference, and an empty list if the plan has no visible effect. */
export function differences(steps: readonly Step[], { status, mtu, state }: Present): string[] {
  return steps.flatMap(step => {
    switch (step.do) {
      case 'configure':
        return deviceLines(step.config, status);
      case 'link-up':
        return step.mtu === mtu ? 'the link is down and must be up' : `MTU ${mtu} -> ${step.mtu}`;
      case 'set-dns': {
        const wanted = resolverText(step.servers, step.search);
        return state.resolver === wanted ? [] : `DNS ${state.resolver || 'none'} -> ${wanted}`;
      }
      // These follow from marks, rules and addresses, which have lines of their own.
      case 'set-firewall':
      case 'remove-firewall':
        return [];
      default:
        return describeStep(step, state.name) ?? [];
    }
  });
}

/** Returns the text by which the state records the DNS settings of a file. */
export function resolverText(servers: readonly string[], search: readonly string[]): string {
  return [...servers, ...search].join(' ');
}

function deviceLines({ privateKey, listenPort, fwmark, peers = [] }: DeviceConfig, status: DeviceStatus): string[] {
  const there = new Map(status.peers.map(peer => [formatKeyHex(peer.publicKey), peer]));
  return [
    ...(privateKey ? [isZeroKey(privateKey) ? 'PrivateKey: removed' : 'PrivateKey: another one'] : []),
    ...(listenPort === undefined ? [] : [`ListenPort ${status.listenPort} -> ${listenPort}`]),
    ...(fwmark === undefined ? [] : [`FwMark ${markText(status.fwmark)} -> ${markText(fwmark)}`]),
    ...peers.map(
      peer => `peer ${shortKey(peer.publicKey)}: ${peerText(peer, there.get(formatKeyHex(peer.publicKey)))}`,
    ),
  ];
}

function markText(mark: number): string {
  return mark === 0 ? 'off' : `0x${mark.toString(16)}`;
}

function peerText(peer: PeerConfig, before: PeerStatus | undefined): string {
  if (peer.remove) return 'removed';
  const parts: string[] = before ? [] : ['added'];
  if (peer.presharedKey && !(isZeroKey(peer.presharedKey) && !before?.presharedKey))
    parts.push(
      `PresharedKey ${isZeroKey(peer.presharedKey) ? 'removed' : before?.presharedKey ? 'another one' : 'set'}`,
    );
  if (peer.endpoint)
    parts.push(
      `Endpoint ${before ? `${before.endpoint ? formatEndpoint(before.endpoint) : 'none'} -> ` : ''}${formatEndpoint(peer.endpoint)}`,
    );
  if (peer.persistentKeepalive !== undefined && peer.persistentKeepalive !== (before?.persistentKeepalive ?? 0))
    parts.push(`PersistentKeepalive ${before?.persistentKeepalive || 'off'} -> ${peer.persistentKeepalive || 'off'}`);
  const prefixes = prefixText(peer, before);
  if (prefixes !== '') parts.push(`AllowedIPs ${prefixes}`);
  return parts.join(', ') || 'AllowedIPs in another order';
}

function prefixText({ allowedIps = [], replaceAllowedIps }: PeerConfig, before: PeerStatus | undefined): string {
  const had = new Set((before?.allowedIps ?? []).map(formatPrefix));
  const kept = replaceAllowedIps ? new Set<string>() : new Set(had);
  for (const { prefix, remove } of allowedIps)
    if (remove) kept.delete(text(prefix));
    else kept.add(text(prefix));
  const added = [...kept].filter(each => !had.has(each)).map(each => `+${each}`);
  const gone = [...had].filter(each => !kept.has(each)).map(each => `-${each}`);
  const all = [...added, ...gone];
  const more = all.length > MOST_PREFIXES ? ` and ${all.length - MOST_PREFIXES} more` : '';
  return `${all.slice(0, MOST_PREFIXES).join(' ')}${more}`;
}

function text(prefix: Prefix): string {
  return formatPrefix(prefix);
}
