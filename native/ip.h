/* Offsets, sizes and bits of the headers of IPv4, IPv6, TCP and UDP (RFC 791, 8200, 9293, 768). */
#ifndef WG_IP_H
#define WG_IP_H
#include "bytes.h"

enum {
  IPV4_HEADER = 20,
  IPV4_TOTAL_LENGTH = 2,
  IPV4_ID = 4,
  IPV4_FRAGMENT = 6,
  IPV4_TTL = 8,
  IPV4_PROTOCOL = 9,
  IPV4_CHECKSUM = 10,
  IPV4_SOURCE = 12,
  IPV4_FRAGMENT_MASK = 0x3fff,
  IPV4_DONT_FRAGMENT = 0x4000,
  IPV6_HEADER = 40,
  IPV6_PAYLOAD_LENGTH = 4,
  IPV6_NEXT_HEADER = 6,
  IPV6_HOP_LIMIT = 7,
  IPV6_SOURCE = 8,
  TCP = 6,
  TCP_HEADER = 20,
  TCP_SEQUENCE = 4,
  TCP_FLAGS = 13,
  TCP_CHECKSUM = 16,
  TCP_FIN = 0x01,
  TCP_PSH = 0x08,
  TCP_ACK = 0x10,
  TCP_CWR = 0x80,
  UDP = 17,
  UDP_HEADER = 8,
  UDP_LENGTH = 4,
  UDP_CHECKSUM = 6,
  LARGEST = 65535,
  ETHERNET_HEADER = 14,
};

/* Returns the pseudo header's sum without the length: both addresses and the protocol. */
static inline uint64_t pseudo_header(const uint8_t *packet, int version, uint8_t protocol) {
  return version == 4 ? wg_sum(wg_net16(protocol), packet + IPV4_SOURCE, 8)
                      : wg_sum(wg_net16(protocol), packet + IPV6_SOURCE, 32);
}
#endif
