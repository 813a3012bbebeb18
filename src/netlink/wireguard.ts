/**
 * Reads and configures the kernel's WireGuard devices over generic netlink, using the model of
 * src/config. Needs CAP_NET_ADMIN.
 */
import { codedError } from '../base/coded-error.ts';
import { formatPrefix, type Prefix } from '../base/prefix.ts';
import type { DeviceConfig, DeviceStatus } from '../config/model.ts';
import { isRefusal } from './errors.ts';
import { GenericNetlink, genericWriter } from './genetlink.ts';
import type { NetlinkPort } from './port.ts';
import { encodeDevice } from './wireguard-chunks.ts';
import { DEVICE, decodeDevice, WIREGUARD } from './wireguard-layout.ts';
import { hasRemovals, withoutRemovals } from './wireguard-removals.ts';

export class KernelWireguard {
  readonly #netlink: GenericNetlink;
  readonly #id: number;
  /** Whether the kernel can remove single allowed IPs (Linux 6.16); undefined until tried. */
  #canRemove: boolean | undefined;
  /** Resolves once the last config is applied. */
  #lastSet: Promise<void> = Promise.resolve();

  private constructor(netlink: GenericNetlink, id: number) {
    this.#netlink = netlink;
    this.#id = id;
  }

  /**
   * Opens a socket; the kernel loads its WireGuard module if necessary.
   * @returns undefined if the kernel has no WireGuard
   * @throws NetlinkError
   */
  static async open(port: NetlinkPort): Promise<KernelWireguard | undefined> {
    const netlink = new GenericNetlink(port);
    try {
      const family = await netlink.family(WIREGUARD.name);
      if (family) return new KernelWireguard(netlink, family.id);
    } catch (error) {
      netlink.close();
      throw error;
    }
    netlink.close();
    return undefined;
  }

  /**
   * Reads a device.
   * @returns the status, whose secrets a long-lived caller overwrites (eraseStatus)
   * @throws NetlinkError: ENODEV if there is no such link, EOPNOTSUPP if the link is not WireGuard
   */
  async get(name: string): Promise<DeviceStatus> {
    const body = genericWriter(WIREGUARD.get, WIREGUARD.version).string(DEVICE.name, name).finish();
    const messages = await this.#netlink.socket.dump(`reading WireGuard device ${name}`, this.#id, body);
    try {
      return decodeDevice(messages);
    } finally {
      for (const message of messages) message.body.fill(0);
    }
  }

  /**
   * Applies a config after all earlier calls, in several messages if necessary. If a message fails,
   * the changes of the messages before it remain.
   * @param known the status, if the caller has just read it. Older kernels need the status to
   * remove allowed IPs, so passing it saves a read.
   * @throws NetlinkError
   */
  set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void> {
    if (config.peers?.some(({ initiate }) => initiate))
      return Promise.reject(
        codedError('EOPNOTSUPP', `${name}: the kernel begins handshakes only when it has something to send`),
      );
    const turn = this.#lastSet.then(() => this.#set(name, config, known));
    this.#lastSet = turn.catch(() => {});
    return turn;
  }

  /** Closes the socket and rejects pending requests. Idempotent. */
  close(): void {
    this.#netlink.close();
  }

  async #set(name: string, config: DeviceConfig, known: DeviceStatus | undefined): Promise<void> {
    if (!hasRemovals(config) || this.#canRemove) {
      await this.#send(name, config);
      return;
    }
    const status = known ?? (await this.get(name));
    const canRemove = this.#canRemove ?? (await this.#tryRemoving(name, status));
    await this.#send(name, canRemove ? config : withoutRemovals(config, status));
  }

  async #send(name: string, config: DeviceConfig): Promise<void> {
    const chunks = encodeDevice(name, config);
    try {
      for (const [i, chunk] of chunks.entries()) {
        const part = chunks.length === 1 ? '' : `, part ${i + 1} of ${chunks.length}`;
        await this.#netlink.socket.request(`configuring WireGuard device ${name}${part}`, this.#id, 0, chunk);
      }
    } finally {
      for (const chunk of chunks) chunk.fill(0);
    }
  }

  /**
   * Tests whether the kernel can remove single allowed IPs, with a prefix that no peer owns.
   * @returns false, without a test, if the device has no peers
   */
  async #tryRemoving(name: string, { peers }: DeviceStatus): Promise<boolean> {
    const [peer] = peers;
    if (!peer) return false;
    const taken = new Set(peers.flatMap(({ allowedIps }) => allowedIps.map(formatPrefix)));
    const trial = { publicKey: peer.publicKey, updateOnly: true, allowedIps: [{ prefix: free(taken), remove: true }] };
    try {
      await this.#send(name, { peers: [trial] });
      this.#canRemove = true;
    } catch (error) {
      if (!isRefusal(error, 'EINVAL', 'EOPNOTSUPP')) throw error;
      this.#canRemove = false;
    }
    return this.#canRemove;
  }
}

/** Returns a single-address prefix in 0.0.0.0/8 that is not in the set. */
function free(taken: ReadonlySet<string>): Prefix {
  for (let i = 0; ; i++) {
    const prefix: Prefix = { address: Uint8Array.of(0, i >> 16, i >> 8, i), length: 32 };
    if (!taken.has(formatPrefix(prefix))) return prefix;
  }
}
