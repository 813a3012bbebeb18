/** struct virtio_net_hdr (linux/virtio_net.h), little endian on every machine we run on, as the TUN speaks it. */

export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
export const VNET_HDR_LEN = 2;
export const VNET_GSO_SIZE = 4;
export const VNET_CSUM_START = 6;
export const VNET_CSUM_OFFSET = 8;

/** Flag: the checksum at csum_start + csum_offset holds the pseudo-header sum only and must be completed. */
export const VNET_F_NEEDS_CSUM = 1;
export const VNET_F_DATA_VALID = 2;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/** Or-ed to the type when TCP ECN is in use; not asked for, so never seen. */
export const VNET_GSO_ECN = 0x80;
