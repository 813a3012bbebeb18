/**
 * The simplest topology: two hosts on one cable, a tunnel between them.
 *
 *     a: eth0 10.0.0.1/24 fd00:aa::1/96  ------  eth0 10.0.0.2/24 fd00:aa::2/96 :b
 *     a: wg   192.168.241.1/24 fd00::1/64  ====  192.168.241.2/24 fd00::2/64 :b
 */
import type { Family } from '../../src/base/family.ts';
import { type Device, PROGRAM, type Program, type StartOptions, startDevice } from './device.ts';
import { type KeyPair, keyPair, presharedKey } from './keys.ts';
import { Lab, type Namespace } from './lab.ts';

export interface PairOptions {
  readonly a?: Program;
  readonly b?: Program;
  /** The family of the endpoints; default 4. */
  readonly outer?: Family;
  readonly psk?: boolean;
  /** Which side knows the other's endpoint (the other side learns it); default both. */
  readonly initiator?: 'a' | 'b' | 'both';
  readonly mtu?: number;
  readonly startA?: StartOptions;
  readonly startB?: StartOptions;
  readonly lab?: Lab;
  readonly keepalive?: number;
}

export interface Host {
  readonly namespace: Namespace;
  readonly device: Device;
  readonly keys: KeyPair;
}

export interface Pair {
  readonly lab: Lab;
  readonly a: Host;
  readonly b: Host;
  readonly psk: string | undefined;
  close(): Promise<void>;
}

export const PORT_A = 51820;
export const PORT_B = 51821;
export const OUTER_A = { 4: '10.0.0.1', 6: 'fd00:aa::1' } as const;
export const OUTER_B = { 4: '10.0.0.2', 6: 'fd00:aa::2' } as const;
export const INNER_A = { 4: '192.168.241.1', 6: 'fd00::1' } as const;
export const INNER_B = { 4: '192.168.241.2', 6: 'fd00::2' } as const;

/** `10.0.0.1:51820` or `[fd00:aa::1]:51820`. */
export function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Builds, starts and configures both ends. Sends nothing yet. */
export async function tunnelPair(options: PairOptions = {}): Promise<Pair> {
  const lab = options.lab ?? new Lab();
  try {
    const [a, b] = await Promise.all([lab.namespace('a'), lab.namespace('b')]);
    await lab.cable(a, 'eth0', [`${OUTER_A[4]}/24`, `${OUTER_A[6]}/96`], b, 'eth0', [
      `${OUTER_B[4]}/24`,
      `${OUTER_B[6]}/96`,
    ]);
    const [deviceA, deviceB] = await Promise.all([
      startDevice(lab, a, options.a ?? PROGRAM, options.startA),
      startDevice(lab, b, options.b ?? PROGRAM, options.startB),
    ]);
    const keysA = keyPair();
    const keysB = keyPair();
    const psk = options.psk === true ? presharedKey() : undefined;
    const outer = options.outer ?? 4;
    const shared = {
      ...(psk === undefined ? {} : { presharedKey: psk }),
      ...(options.keepalive === undefined ? {} : { keepalive: options.keepalive }),
    };
    const knowsA = options.initiator !== 'a';
    const knowsB = options.initiator !== 'b';
    await deviceA.set({
      privateKey: keysA.privateKey,
      listenPort: PORT_A,
      peers: [
        {
          publicKey: keysB.publicKey,
          allowedIps: [`${INNER_B[4]}/32`, `${INNER_B[6]}/128`],
          ...shared,
          ...(knowsB ? { endpoint: endpoint(OUTER_B[outer], PORT_B) } : {}),
        },
      ],
    });
    await deviceB.set({
      privateKey: keysB.privateKey,
      listenPort: PORT_B,
      peers: [
        {
          publicKey: keysA.publicKey,
          allowedIps: [`${INNER_A[4]}/32`, `${INNER_A[6]}/128`],
          ...shared,
          ...(knowsA ? { endpoint: endpoint(OUTER_A[outer], PORT_A) } : {}),
        },
      ],
    });
    await deviceA.up([`${INNER_A[4]}/24`, `${INNER_A[6]}/64`], options.mtu);
    await deviceB.up([`${INNER_B[4]}/24`, `${INNER_B[6]}/64`], options.mtu);
    return {
      lab,
      a: { namespace: a, device: deviceA, keys: keysA },
      b: { namespace: b, device: deviceB, keys: keysB },
      psk,
      close: () => lab.close(),
    };
  } catch (error) {
    await lab.close();
    throw error;
  }
}
