/** A device's status as the configuration that makes another device like it. */
import { copySecret } from '../base/bytes.ts';
import type { DeviceConfig, DeviceStatus } from './model.ts';

/**
 * Returns all settings in a status, for a device without peers. Contains copies of the keys; erase
 * both.
 */
export function configOfStatus(status: Pick<DeviceStatus, 'privateKey' | 'peers'>): DeviceConfig {
  return {
    ...(status.privateKey && { privateKey: copySecret(status.privateKey) }),
    peers: status.peers.map(peer => ({
      publicKey: peer.publicKey,
      ...(peer.presharedKey && { presharedKey: copySecret(peer.presharedKey) }),
      ...(peer.endpoint && { endpoint: peer.endpoint }),
      persistentKeepalive: peer.persistentKeepalive,
      allowedIps: peer.allowedIps.map(prefix => ({ prefix })),
    })),
  };
}
