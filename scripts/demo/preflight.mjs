// Checks what a demo needs from the machine before anything starts. For each missing thing, a
// sentence says what to do.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Failure } from './failure.mjs';

const TUN = '/dev/net/tun';
const OPEN_TO_ALL = 'run it as root, or let everyone open it as most systems do: chmod 0666 /dev/net/tun';
const TUN_REMEDIES = {
  ENOENT: 'it is missing: modprobe tun, or give the container --device /dev/net/tun',
  EACCES: `this user may not open it: ${OPEN_TO_ALL}`,
  EPERM: 'the container may not open it: give it --device /dev/net/tun',
  ENOTTY: 'it is not a device: remove it, then modprobe tun, or give the container --device /dev/net/tun',
  ENODEV: "the kernel's tun module is not loaded: modprobe tun",
  ENXIO: "the kernel's tun module is not loaded: modprobe tun",
};

/** Checks the machine. @throws Failure */
export async function checkMachine() {
  try {
    const fd = openSync(TUN, 'r+');
    const isDevice = fstatSync(fd).isCharacterDevice();
    closeSync(fd);
    if (!isDevice) throw Object.assign(new Error(), { code: 'ENOTTY' });
  } catch (error) {
    throw new Failure(`${TUN} cannot be opened, and the tunnel needs it; ${TUN_REMEDIES[error.code] ?? error.message}`);
  }
  const { nativeBinding } = await import('../../dist/io/native-binding.js');
  try {
    nativeBinding();
  } catch (error) {
    throw new Failure(error.message);
  }
}
