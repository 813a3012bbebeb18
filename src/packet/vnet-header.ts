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
/** Flag: the UDP header of the tunnel (VNET_GSO_UDP_TUNNEL_*) has a checksum. */
export const VNET_F_UDP_TUNNEL_CSUM = 8;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
/**
 * Added to the type if the packet is inside a UDP tunnel such as VXLAN or Geneve. The kernel puts
 * the offset of the inner IP header into a larger header; native/tun.c moves it to VNET_HDR_LEN.
 */
export const VNET_GSO_UDP_TUNNEL_IPV4 = 0x20;
export const VNET_GSO_UDP_TUNNEL_IPV6 = 0x40;
/**
 * Added to the type if TCP ECN is in use. It never occurs, because we do not request it from the
 * TUN.
 */
export const VNET_GSO_ECN = 0x80;
