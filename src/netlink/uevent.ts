/**
 * Events of the kernel's devices (NETLINK_KOBJECT_UEVENT, kernel lib/kobject_uevent.c): text, one
 * per datagram. The kernel sends them to group 1. Events of no network device reach every network
 * namespace that belongs to the initial user namespace, and no others.
 */

export const UEVENT_GROUP = 1;

/** Longer than the kernel's limit of an event (UEVENT_BUFFER_SIZE, 2048). */
const LARGEST = 8192;

/**
 * Returns the variables of an event, such as ACTION, DEVPATH and SUBSYSTEM.
 * @returns undefined if the datagram is not an event of the kernel
 */
export function parseUevent(datagram: Uint8Array): ReadonlyMap<string, string> | undefined {
  if (datagram.length > LARGEST) return undefined;
  const [header, ...lines] = String.fromCharCode(...datagram).split('\0');
  // udev's own messages begin with "libudev"
  if (!/^[a-z]+@\//.test(header!)) return undefined;
  const variables = new Map<string, string>();
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals > 0) variables.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return variables;
}

/**
 * Reports whether a virtual machine's generation has changed: it was copied, or restored from a
 * snapshot. Kernels send it that have the patch "vmgenid: emit uevent when VMGENID updates". A
 * process that writes to /sys/.../uevent cannot make this event, because its variables begin with
 * SYNTH_ARG_.
 */
export function isNewGeneration(uevent: ReadonlyMap<string, string>): boolean {
  return uevent.get('NEW_VMGENID') === '1';
}
