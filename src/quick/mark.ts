/**
 * Chooses the mark of encrypted packets and the table of a default route. No other program must use
 * either of them.
 */
import type { DeviceConfig } from '../config/model.ts';
import type { Link } from '../netlink/links.ts';
import type { QuickFile } from './file.ts';
import type { QuickHost } from './ports.ts';
import { policyFamilies } from './routing.ts';
import type { Snapshot } from './snapshot.ts';
import type { QuickState } from './state.ts';

/** wg-quick's number for the mark and the table of a default route. */
const FIRST_MARK = 51820;
/**
 * Marks of kube-proxy: packets with the first bit are dropped, packets with the second are
 * masqueraded. Felix, Cilium and Tailscale use bits above and below 0x3000.
 */
const KUBERNETES_BITS = 0xc000;
const FIRST_KUBERNETES_MARK = 0x3000;

/**
 * Chooses the mark of encrypted packets, which is also the number of the default routes' table. A
 * mark in the file takes precedence. Otherwise, the mark is the first number whose table no other
 * link uses; the search starts at the previous mark or at 51820. Because 51820 contains mark bits
 * of kube-proxy, the search starts at 0x3000 where kube-proxy runs.
 */
export async function chooseMark(
  host: QuickHost,
  file: QuickFile,
  wanted: DeviceConfig,
  now: Snapshot,
  before: QuickState | undefined,
): Promise<number> {
  const { fwmark, peers = [] } = wanted;
  const old = before?.policy?.table;
  const kubernetes = policyFamilies(file, peers).length > 0 ? await host.findKubernetes() : undefined;
  if (fwmark) {
    if (kubernetes !== undefined && hasKubernetesBits(fwmark))
      host.warn(
        `FwMark ${hex(fwmark)} has bits of kube-proxy's (${kubernetes}): ${WHAT_IT_DOES}; a mark such as 0x3000 has none`,
      );
    return fwmark;
  }
  const avoid = kubernetes !== undefined;
  const first = avoid ? FIRST_KUBERNETES_MARK : FIRST_MARK;
  const mark = await freeTable(
    host,
    old === undefined || (avoid && hasKubernetesBits(old)) ? first : old,
    avoid,
    now.link,
  );
  if (avoid && mark !== old)
    host.say(
      `mark ${hex(mark)} instead of ${hex(FIRST_MARK)}: kube-proxy is in use here (${kubernetes}), and ${WHAT_IT_DOES}`,
    );
  return mark;
}

const WHAT_IT_DOES = 'it drops packets marked 0x8000 and masquerades those marked 0x4000';

function hasKubernetesBits(mark: number): boolean {
  return (mark & KUBERNETES_BITS) !== 0;
}

/** Returns the first table, from this number up, in which no other link has routes. */
async function freeTable(host: QuickHost, from: number, avoid: boolean, link: Link | undefined): Promise<number> {
  for (let table = from; ; table++) {
    if (avoid && hasKubernetesBits(table)) continue;
    const routes = await host.network.routes.list({ table });
    if (routes.every(route => link !== undefined && route.link === link.index)) return table;
  }
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}
