/** struct virtio_net_hdr (linux/virtio_net.h) of a TUN; little endian on all supported machines. */

export const VNET_FLAGS = 0;
export const VNET_GSO_TYPE = 1;
export const VNET_HDR_LEN = 2;
export const VNET_GSO_SIZE = 4;
export const VNET_CSUM_START = 6;
export const VNET_CSUM_OFFSET = 8;

/**
 * Flag: the checksum field at csum_start + csum_offset contains only the pseudo header's sum. The
 * reader must complete the checksum.
 */
export const VNET_F_NEEDS_CSUM = 1;
export const VNET_F_DATA_VALID = 2;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/**
 * Added to the type if TCP ECN is in use. It never occurs, because we do not request it from the
 * TUN.
 */
export const VNET_GSO_ECN = 0x80;
