/* Splits super-packets from a TUN, and merges packets into super-packets. Plain C without Node,
 * allocation or global state. The TypeScript twins are
 * src/packet/{segments,split,flow,successor,coalesce}.ts; their comments name the rules and the
 * sources. A differential fuzz test compares both, so change both together. Numbers are bytes
 * unless stated otherwise. */
#ifndef WG_OFFLOAD_H
#define WG_OFFLOAD_H
#include <stddef.h>
#include <stdint.h>

/* The vnet header before a packet in a slab is struct virtio_net_hdr, of 10 bytes. A kernel that
 * passes super-packets of UDP tunnels (VXLAN, Geneve) writes the 24 bytes of struct
 * virtio_net_hdr_v1_hash_tunnel instead. Then tun.c moves inner_nh_offset to hdr_len, which is
 * ignored otherwise. */
enum { WG_VNET_HEADER_SIZE = 10, WG_VNET_TUNNEL_SIZE = 24, WG_VNET_HDR_LEN = 2 };
enum { WG_VNET_OUTER_OFFSET = 20, WG_VNET_INNER_OFFSET = 22 };

/* From linux/virtio_net.h, which is not included, because old kernel headers lack some of them. */
enum {
  WG_VNET_F_NEEDS_CSUM = 1,
  WG_VNET_F_UDP_TUNNEL_CSUM = 8,
  WG_GSO_NONE = 0,
  WG_GSO_TCPV4 = 1,
  WG_GSO_TCPV6 = 4,
  WG_GSO_UDP_L4 = 5,
  WG_GSO_UDP_TUNNEL_IPV4 = 0x20,
  WG_GSO_UDP_TUNNEL_IPV6 = 0x40,
  WG_GSO_ECN = 0x80,
};

/* ---- split ---- */

enum { WG_MAX_SEGMENTS = 4096 };
enum wg_split_action { WG_SPLIT_COPY, WG_SPLIT_CHECKSUM, WG_SPLIT_TCP, WG_SPLIT_UDP };

struct wg_split {
  uint32_t count;        /* segments; 0: the packet is malformed and no other member is valid */
  const uint8_t *packet; /* after its vnet header */
  uint32_t length;
  uint8_t version; /* 4 or 6, of the packet */
  uint8_t action;  /* enum wg_split_action */
  uint16_t unit;   /* payload bytes of each segment except the last */
  uint32_t headers;
  uint32_t upper;  /* offset of the summed range: the upper header */
  uint32_t field;  /* offset of the checksum field */
  uint64_t pseudo; /* pseudo-header sum without the length field, over words in host byte order */
  uint32_t tunnel; /* offset of the UDP header of a tunnel around the packet to split; 0: no tunnel */
  uint32_t inner;  /* offset of the IP header before `upper`; 0: no tunnel */
  uint8_t inner_version;  /* 4 or 6, of that header */
  uint8_t tunnel_summed;  /* whether the tunnel's UDP header has a checksum */
  uint64_t tunnel_pseudo; /* as `pseudo`, for the tunnel's UDP header */
};

/* Plans the split of `length` readable bytes at `vnet`: a vnet header and a packet. Returns
 * plan->count. */
uint32_t wg_split_plan(struct wg_split *plan, const uint8_t *vnet, size_t length);
uint32_t wg_split_length(const struct wg_split *plan, uint32_t index);
/* Writes segment `index` to `out`, which has room for wg_split_length() and does not overlap the
 * packet. Returns that length. */
uint32_t wg_split_write(const struct wg_split *plan, uint32_t index, uint8_t *out);

/* Returns the size of a packet padded for an interface of this MTU (0: unknown). */
uint32_t wg_padded_length(uint32_t length, int32_t mtu);
/* Returns the size of the largest message: that of the first segment. */
uint32_t wg_message_size(const struct wg_split *plan, int32_t mtu);
/* Returns the total size of all segments as transport messages. */
uint64_t wg_sealed_size(const struct wg_split *plan, int32_t mtu);

/* ---- merge ---- */

/* One packet descriptor: offset, length (src/packet/batch.ts). */
enum { WG_PACKET_OFFSET, WG_PACKET_LENGTH, WG_PACKET_STRIDE };

/* Fields of a group: packets that are written as one packet. */
enum {
  WG_GROUP_FIRST,   /* index of its first packet */
  WG_GROUP_COUNT,   /* packets */
  WG_GROUP_HEADERS, /* bytes to skip at the start of every packet except the first; 0 for a single packet */
  WG_GROUP_LENGTH,  /* bytes of the merged packet */
  WG_GROUP_GSO_TYPE,
  WG_GROUP_GSO_SIZE,
  WG_GROUP_CSUM_START,
  WG_GROUP_CSUM_OFFSET,
  WG_GROUP_STRIDE
};
/* Values of next[]: NONE ends a group; REFUSED marks a packet whose descriptor lies outside the
 * slab, and which is in no group. */
enum { WG_NEXT_NONE = -1, WG_NEXT_REFUSED = -2 };
/* Bits of `allowed`: kinds of merged packets that the TUN accepts (TUN_F_TSO4, TUN_F_TSO6,
 * TUN_F_USO4 and TUN_F_USO6). */
enum { WG_MERGE_TCP4 = 1, WG_MERGE_TCP6 = 2, WG_MERGE_UDP = 4, WG_MERGE_TUNNEL = 8 };
/* In WG_GROUP_GSO_TYPE: the UDP header of the tunnel has a checksum. */
enum { WG_GROUP_TUNNEL_SUMMED = 0x100 };

/* Where the kernel itself ends VXLAN: only there may it get merged packets in tunnels, because any
 * other receiver would get a merged packet as one datagram. */
struct wg_overlay {
  uint16_t port;    /* of UDP; 0: nowhere */
  uint32_t address; /* IPv4, as a number */
};

/* The most packets in a group. Writing a group takes one more vector, for the vnet header. */
enum { WG_MAX_MERGED = 64 };

/* Groups `count` packets. groups[] has WG_GROUP_STRIDE numbers for each packet, next[] one. Headers
 * of first packets change in place, payloads do not change. To write a group:
 *
 *   wg_group_header(group, vnet);              iov: vnet, 10 or 24 bytes
 *   i = group[WG_GROUP_FIRST];                 iov: the whole packet i
 *   while ((i = next[i]) >= 0)                 iov: packet i after group[WG_GROUP_HEADERS] bytes
 *
 * Write the groups in order. Returns the number of groups. */
int wg_merge(uint8_t *slab, size_t slab_length, const int32_t *desc, int count, int allowed, const struct wg_overlay *overlay, int32_t *groups,
             int32_t *next);

/* Writes the vnet header of a group, for slabs (its first bytes) and for the kernel: all zero for a
 * single packet. */
void wg_group_header(const int32_t *group, uint8_t vnet[WG_VNET_TUNNEL_SIZE]);

#endif
