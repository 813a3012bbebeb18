/**
 * Configuration and status of a WireGuard device, as objects and as text: files of `wg setconf`,
 * the output of `wg show`, JSON, and the control socket's protocol (UAPI). Nothing here loads the
 * addon or a Node module.
 *
 * @module wireguard-ts/config
 */
export { formatAddress, parseAddress } from '../base/address.ts';
export { ENDPOINT_SIZE, formatEndpoint, makeEndpoint, parseEndpoint } from '../base/endpoint.ts';
export { formatKeyBase64, formatKeyHex, parseKeyBase64, parseKeyHex } from '../base/key.ts';
export { formatPrefix, makePrefix, type Prefix, parsePrefix } from '../base/prefix.ts';
export { type ConfFile, type ConfPeer, formatConf, parseConf } from '../config/conf.ts';
export type { ConfFormat } from '../config/conf-keys.ts';
export { difference } from '../config/diff.ts';
export { ConfigError, type ConfigErrorCode, type ConfigErrorPlace } from '../config/errors.ts';
export type { AllowedIpConfig, DeviceConfig, DeviceStatus, PeerConfig, PeerStatus } from '../config/model.ts';
export { formatDevice, formatDump, type ShowOptions } from '../config/show.ts';
export { type JsonDevice, type JsonPeer, toJson } from '../config/show-json.ts';
export { formatGetResponse, parseGetResponse, parseSetResponse } from '../config/uapi-get.ts';
export { formatSetRequest } from '../config/uapi-set.ts';
export type { HostEndpoint } from '../config/values.ts';
export { formatZonedEndpoint, numericZones, parseZonedEndpoint, type Zones } from '../config/zones.ts';
