/**
 * Measures one TCP stream over a VXLAN device whose packets pass through the tunnel, as overlay
 * networks of Kubernetes do. Flannel and Calico turn the checksum of the outer UDP header off;
 * `ip link add` leaves it on.
 */
import { makeIperf } from '../iperf.ts';
import { TUNNEL_MTU } from '../lab.ts';
import { type Taken, TUNNELS, type TunnelMeasure } from '../measure.ts';
import type { Tunnel } from '../tunnel.ts';

const VXLAN = 'vxlan-bench';
/** Bytes of VXLAN over IPv4: the headers of IPv4, UDP, VXLAN and Ethernet. */
const VXLAN_OVERHEAD = 50;
const [LEFT, RIGHT] = ['10.101.0.1', '10.101.0.2'];

const CHECKSUMS = [
  { name: 'vxlan', option: 'noudpcsum', title: 'TCP over VXLAN, one stream', headline: true },
  { name: 'vxlan-csum', option: 'udpcsum', title: 'TCP over VXLAN with checksums, one stream', headline: false },
] as const;

export const overlay: TunnelMeasure = {
  needs: 'tunnel',
  kinds: TUNNELS,
  figures: CHECKSUMS.map(({ name, title, headline }) => ({
    ...{ name, title, headline },
    unit: 'Gbit/s',
    better: 'more',
    digits: 2,
  })),

  async take(tunnel, { seconds }, wanted) {
    const taken: Record<string, number> = {};
    for (const { name, option } of CHECKSUMS)
      if (wanted.has(name)) Object.assign(taken, { [name]: await overVxlan(tunnel, option, seconds) });
    return taken satisfies Taken;
  },
};

async function overVxlan(tunnel: Tunnel, checksum: string, seconds: number): Promise<number> {
  const ends = [
    { ...{ host: tunnel.lab.left, inner: LEFT }, local: tunnel.left, remote: tunnel.right },
    { ...{ host: tunnel.lab.right, inner: RIGHT }, local: tunnel.right, remote: tunnel.left },
  ];
  const made: typeof ends = [];
  try {
    for (const end of ends) {
      const { host, inner, local, remote } = end;
      await host.namespace.ip(
        `link add ${VXLAN} type vxlan id 1 local ${local} remote ${remote} dstport 4789 ${checksum}`,
      );
      made.push(end);
      await host.namespace.ip(
        `link set ${VXLAN} mtu ${TUNNEL_MTU - VXLAN_OVERHEAD} addrgenmode none`,
        `addr add ${inner}/24 dev ${VXLAN}`,
        `link set ${VXLAN} up`,
      );
    }
    const path = { lab: tunnel.lab, left: LEFT, right: RIGHT, devices: ends.map(() => ({ name: VXLAN })) };
    return (await makeIperf(path).tcp({ seconds })).bitsPerSecond / 1e9;
  } finally {
    for (const { host } of made) await host.namespace.ip(`link del ${VXLAN}`);
  }
}
