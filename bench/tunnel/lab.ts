/** Two hosts and the cable between them, with the addresses that everything else here uses. */
import { run } from './command.ts';
import { Place } from './place.ts';

export interface Host {
  readonly place: Place;
  /** On the cable. */
  readonly outer: string;
  /** In the tunnel. */
  readonly inner: string;
  /** The interface at this end of the cable. */
  readonly cable: string;
}

export interface Lab {
  readonly left: Host;
  readonly right: Host;
}

/** What an Ethernet gives; WireGuard's header fits into it around a packet of TUNNEL_MTU. */
const CABLE_MTU = 1500;
export const TUNNEL_MTU = 1420;

/** Makes the /run of our own, and the hosts. Only inside (enter.ts). */
export async function makeLab(): Promise<Lab> {
  await run(['mount', '-t', 'tmpfs', 'none', '/run']);
  const [left, right] = [await makeHost('left', 1), await makeHost('right', 2)];
  await left.place.ip(`link add ${left.cable} mtu ${CABLE_MTU} type veth peer name ${right.cable} netns right`);
  for (const { place, outer, cable } of [left, right])
    await place.ip(
      `link set ${cable} mtu ${CABLE_MTU} addrgenmode none`,
      `addr add ${outer}/24 dev ${cable}`,
      `link set ${cable} up`,
    );
  return { left, right };
}

async function makeHost(name: string, number: number): Promise<Host> {
  const place = await Place.make(name);
  return { place, outer: `192.168.100.${number}`, inner: `10.100.0.${number}`, cable: `cable-${name}` };
}
