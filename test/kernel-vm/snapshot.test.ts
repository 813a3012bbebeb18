/**
 * A real snapshot of a virtual machine, restored three times. A copy with a new generation erases
 * its sessions as soon as its kernel has noticed, and has traffic again at once; so two copies use
 * the same nonce at most for the packets of that moment. A copy with the old generation shows what
 * happens without the notice: it goes on for as long as it runs.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { startDevice } from '../netns/device.ts';
import { keyPair } from '../netns/keys.ts';
import { Lab } from '../netns/lab.ts';
import { describeWith, NETWORK } from '../netns/needs.ts';
import { CopiedMachine, type MachineRun } from './copied-machine.ts';
import { kernelFolder } from './machine.ts';

const LIMIT_MS = 600_000;
const PORT = 51820;
const INNER = { own: '10.9.0.2', peer: '10.9.0.1' };
const NOTICE = 'this virtual machine was copied or restored: all sessions were erased';
/** Some seconds of pings. */
const ENOUGH = 150;
/**
 * Packets that may be sealed between the restoration and the moment when the kernel notices: on a
 * busy machine, a second of the emulated one. Without the notice there are more than ENOUGH.
 */
const AT_ONCE = 50;

describeWith([...NETWORK, 'qemu-system-x86_64', 'busybox', 'modprobe'], 'a snapshot of a virtual machine', () => {
  const lab = new Lab();
  afterAll(() => lab.close());

  test(
    'copies stop to use the same nonces at once',
    async () => {
      const namespace = await lab.namespace('copies');
      const [own, peer] = [keyPair(), keyPair()];
      const host = await startDevice(lab, namespace, 'ours');
      const allowed = { publicKey: own.publicKey, allowedIps: [`${INNER.own}/32`] };
      await host.set({ privateKey: peer.privateKey, listenPort: PORT, peers: [allowed] });
      await host.up([`${INNER.peer}/24`]);
      const machine = new CopiedMachine({
        ...{ lab, namespace, kernel: kernelFolder(), inner: INNER, port: PORT },
        ...{ privateKey: own.privateKey, peer: peer.publicKey },
      });

      const generation = randomUUID();
      const original = machine.boot(generation);
      await original.until('traffic', () => original.sealed.size > ENOUGH);
      await original.save();
      const sealed = original.sealed;
      await original.stop();
      const [session] = [...sealed.keys()].map(receiverOf);

      const copies: MachineRun[] = [];
      for (let count = 0; count < 2; count++) {
        const copy = machine.restore(randomUUID());
        await copy.until('a new session', () => inOther(copy, session!).length > ENOUGH);
        await copy.stop();
        copies.push(copy);
      }
      const unaware = machine.restore(generation);
      await unaware.until('traffic in the old session', () => unaware.sealed.size > ENOUGH);
      await unaware.stop();

      const [first, second] = copies as [MachineRun, MachineRun];
      for (const copy of copies) expect(copy.output.split(NOTICE)).toHaveLength(2);
      const reusedNonces = reused(first, second).length;
      const inOldSession = copies.map(each => each.sealed.size - inOther(each, session!).length);
      console.log(JSON.stringify({ reusedNonces, inOldSession, withoutNotice: unaware.sealed.size }));
      expect(reusedNonces).toBeLessThanOrEqual(AT_ONCE);
      expect(unaware.output).not.toContain(NOTICE);
      expect(inOther(unaware, session!)).toEqual([]);
    },
    LIMIT_MS,
  );
});

/** Returns the index of the peer's session, which is the first part of a message's key. */
function receiverOf(key: string): string {
  return key.slice(0, 8);
}

/** Returns the messages of a machine in other sessions than this one. */
function inOther(run: MachineRun, session: string): string[] {
  return [...run.sealed.keys()].filter(key => receiverOf(key) !== session);
}

/** Returns the nonces with which two machines sealed different packets. */
function reused(a: MachineRun, b: MachineRun): string[] {
  const others = b.sealed;
  return [...a.sealed].filter(([key, hex]) => (others.get(key) ?? hex) !== hex).map(([key]) => key);
}
