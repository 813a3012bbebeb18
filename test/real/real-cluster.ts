/** How tests use the real cluster: what it needs from the machine, and in which profile it runs. */

import { describeCluster } from '../cluster/control-plane.ts';
import { inOwnNamespace } from '../support/own-namespace.ts';

/** Whether this is the long profile: `npm run test:real:long`. */
export const isLong = process.env['WGTS_REAL'] === 'long';

/** What the real cluster needs beside Kubernetes' servers. */
export const REAL_NEEDS = [
  'root',
  'tun',
  'ip',
  'sysctl',
  'tcpdump',
  'nft',
  'wg',
  'unshare',
  'containerd',
  'runc',
  'cni-plugins',
  'go',
] as const;
/** Milliseconds. A short run takes two to four minutes on two quiet cores. */
const LIMIT_MS = isLong ? 5_400_000 : 1_200_000;

/** Runs the tests of a file in a network namespace of their own. @param url its import.meta.url */
export function inRealCluster(url: string, body: () => void): void {
  describeCluster('on real nodes', () => inOwnNamespace(url, REAL_NEEDS, body, { limit: LIMIT_MS, show: 'real:' }));
}
