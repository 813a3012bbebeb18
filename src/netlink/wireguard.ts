/** The kernel's own WireGuard devices, read and configured over generic netlink, in the model of src/config. Needs CAP_NET_ADMIN. */
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
  /** Whether single allowed IPs can be taken away (Linux 6.16); undefined until it was tried. */
  #removes: boolean | undefined;
  /** Ends when the last config that was given is set. */
  #sets: Promise<void> = Promise.resolve();

  private constructor(netlink: GenericNetlink, id: number) {
    this.#netlink = netlink;
    this.#id = id;
  }

  /**
   * @returns undefined if the kernel has no WireGuard, after it tried to load the module
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
   * @returns a status whose secrets the caller overwrites (eraseStatus), if it lives on
   * @throws NetlinkError: ENODEV if there is no such link, EOPNOTSUPP if it is of another kind
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
   * In as many messages as it takes, one config after another: one that fails leaves done what came before it.
   * @param known what was just read of the device, where it was; spares older kernels reading it again to take allowed IPs away
   * @throws NetlinkError
   */
  set(name: string, config: DeviceConfig, known?: DeviceStatus): Promise<void> {
    if (config.peers?.some(({ initiate }) => initiate))
      return Promise.reject(
        codedError('EOPNOTSUPP', `${name}: the kernel begins handshakes only when it has something to send`),
      );
    const turn = this.#sets.then(() => this.#set(name, config, known));
    this.#sets = turn.catch(() => {});
    return turn;
  }

  /** What is not yet answered is rejected. Idempotent. */
  close(): void {
    this.#netlink.close();
  }

  async #set(name: string, config: DeviceConfig, known: DeviceStatus | undefined): Promise<void> {
    if (!hasRemovals(config) || this.#removes) {
      await this.#send(name, config);
      return;
    }
    const status = known ?? (await this.get(name));
    const removes = this.#removes ?? (await this.#tryRemoving(name, status));
    await this.#send(name, removes ? config : withoutRemovals(config, status));
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

  /** On a prefix that nobody has. Without a peer nothing can be tried. */
  async #tryRemoving(name: string, { peers }: DeviceStatus): Promise<boolean> {
    const [peer] = peers;
    if (!peer) return false;
    const taken = new Set(peers.flatMap(({ allowedIps }) => allowedIps.map(formatPrefix)));
    const trial = { publicKey: peer.publicKey, updateOnly: true, allowedIps: [{ prefix: free(taken), remove: true }] };
    try {
      await this.#send(name, { peers: [trial] });
      this.#removes = true;
    } catch (error) {
      if (!isRefusal(error, 'EINVAL', 'EOPNOTSUPP')) throw error;
      this.#removes = false;
    }
    return this.#removes;
  }
}

/** A prefix of one address in 0.0.0.0/8 that is not among these. */
function free(taken: ReadonlySet<string>): Prefix {
  for (let i = 0; ; i++) {
    const prefix: Prefix = { address: Uint8Array.of(0, i >> 16, i >> 8, i), length: 32 };
    if (!taken.has(formatPrefix(prefix))) return prefix;
  }
}
