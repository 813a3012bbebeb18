/**
 * The topology of the kernel's own test: both programs run in ns0 and keep their sockets there; the
 * interfaces are moved to ns1 and ns2, which have no other way to each other.
 *
 *     ns1: wg 192.168.241.1/24 fd00::1/64    ns0: the sockets, on loopback    ns2: wg 192.168.241.2/24 fd00::2/64
 */
import type { Family } from '../../src/base/family.ts';
import { PROGRAM, type Program, startDevice } from './device.ts';
import { keyPair, presharedKey } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';
import { type Host, INNER_A, INNER_B } from './pair.ts';

export interface Moved {
  readonly lab: Lab;
  readonly ns0: Namespace;
  readonly one: Host;
  readonly two: Host;
  readonly psk: string;
  /** Points both ends at each other over loopback of this family. */
  aim(outer: Family): Promise<void>;
  close(): Promise<void>;
}

export const PORT_ONE = 1;
export const PORT_TWO = 2;

/**
 * Starts both, moves the interfaces, and configures keys, PSK, allowed-ips and ports, but no
 * endpoints.
 */
export async function movedPair(a: Program = PROGRAM, b: Program = PROGRAM): Promise<Moved> {
  const lab = new Lab();
  try {
    const [ns0, ns1, ns2] = await Promise.all([lab.namespace('0'), lab.namespace('1'), lab.namespace('2')]);
    // to see the MTU there, ours has to enter the other namespace
    const env = { WGTS_SANDBOX: 'netns' };
    const [deviceOne, deviceTwo] = await Promise.all([
      startDevice(lab, ns0, a, { env }),
      startDevice(lab, ns0, b, { env }),
    ]);
    await deviceOne.moveTo(ns1);
    await deviceTwo.moveTo(ns2);
    const one: Host = { namespace: ns1, device: deviceOne, keys: keyPair() };
    const two: Host = { namespace: ns2, device: deviceTwo, keys: keyPair() };
    const psk = presharedKey();
    await deviceOne.up([`${INNER_A[4]}/24`, `${INNER_A[6]}/64`]);
    await deviceTwo.up([`${INNER_B[4]}/24`, `${INNER_B[6]}/64`]);
    await deviceOne.set({
      privateKey: one.keys.privateKey,
      listenPort: PORT_ONE,
      peers: [
        { publicKey: two.keys.publicKey, presharedKey: psk, allowedIps: [`${INNER_B[4]}/32`, `${INNER_B[6]}/128`] },
      ],
    });
    await deviceTwo.set({
      privateKey: two.keys.privateKey,
      listenPort: PORT_TWO,
      peers: [
        { publicKey: one.keys.publicKey, presharedKey: psk, allowedIps: [`${INNER_A[4]}/32`, `${INNER_A[6]}/128`] },
      ],
    });
    const aim = async (outer: Family): Promise<void> => {
      const host = outer === 4 ? '127.0.0.1' : '[::1]';
      await deviceOne.set({ peers: [{ publicKey: two.keys.publicKey, endpoint: `${host}:${PORT_TWO}` }] });
      await deviceTwo.set({ peers: [{ publicKey: one.keys.publicKey, endpoint: `${host}:${PORT_ONE}` }] });
    };
    return { lab, ns0, one, two, psk, aim, close: () => lab.close() };
  } catch (error) {
    await lab.close();
    throw error;
  }
}
