/* Decides what may be merged, and compares packets for it; the twin is flow.ts. */
#include "flow.h"
#include "bytes.h"
#include "ip.h"

enum { VXLAN_HEADER = 8, ETHERTYPE = 12 };

struct wg_flow wg_inner(const struct wg_flow *p) {
  uint8_t *bytes = p->bytes + p->inner;
  return (struct wg_flow){.bytes = bytes,
                          .length = p->length - p->inner,
                          .version = bytes[0] >> 4,
                          .protocol = TCP,
                          .upper = p->inner_upper - p->inner,
                          .headers = p->headers - p->inner};
}

/* If this is a TCP segment that may be merged, in VXLAN to the overlay's port and address, notes
 * where its headers are. Anything else is merged as UDP. */
static void read_overlay(struct wg_flow *p, const struct wg_overlay *overlay) {
  uint32_t vxlan = p->upper + UDP_HEADER, inner = vxlan + VXLAN_HEADER + ETHERNET_HEADER;
  const uint8_t *header = p->bytes + vxlan;
  if (wg_be16(p->bytes + p->upper + 2) != overlay->port || wg_be32(p->bytes + IPV4_SOURCE + 4) != overlay->address) return;
  /* only the flag "a network identifier is present" is known; everything else is reserved */
  if (p->length <= inner || wg_be32(header) != 0x08000000 || header[7] != 0) return;
  uint16_t type = wg_be16(header + VXLAN_HEADER + ETHERTYPE);
  struct wg_flow packet;
  wg_flow_read(&packet, p->bytes + inner, p->length - inner, NULL);
  if (packet.kind != FLOW_MERGE || packet.protocol != TCP || type != (packet.version == 4 ? 0x0800 : 0x86dd)) return;
  p->inner = inner;
  p->inner_upper = inner + packet.upper;
  p->headers = inner + packet.headers;
}

void wg_flow_read(struct wg_flow *p, uint8_t *bytes, uint32_t length, const struct wg_overlay *overlay) {
  *p = (struct wg_flow){.bytes = bytes, .length = length, .kind = FLOW_BARRIER};
  if (length < IPV4_HEADER) return;
  if (bytes[0] == 0x45) {
    if (wg_be16(bytes + IPV4_TOTAL_LENGTH) != length) return;
    if (wg_be16(bytes + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK) return;
    p->version = 4;
    p->upper = IPV4_HEADER;
    p->protocol = bytes[IPV4_PROTOCOL];
  } else if (bytes[0] >> 4 == 6 && length >= IPV6_HEADER) {
    if (wg_be16(bytes + IPV6_PAYLOAD_LENGTH) + IPV6_HEADER != (int)length) return;
    p->version = 6;
    p->upper = IPV6_HEADER;
    p->protocol = bytes[IPV6_NEXT_HEADER];
    uint8_t next = p->protocol;
    if (next == 0 || next == 43 || next == 44 || next == 51 || next == 60) return;
  } else {
    return;
  }
  const uint8_t *upper = bytes + p->upper;
  uint32_t available = length - p->upper;
  if (p->protocol == TCP) {
    if (available < TCP_HEADER) return;
    uint32_t header = (uint32_t)(upper[12] >> 4) << 2;
    if (header < TCP_HEADER || header > available) return;
    p->headers = p->upper + header;
    int plain = (upper[12] & 15) == 0 && (upper[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
    p->kind = plain && header < available ? FLOW_MERGE : FLOW_SINGLE;
  } else if (p->protocol == UDP) {
    if (available < UDP_HEADER || wg_be16(upper + UDP_LENGTH) != available) return;
    p->headers = p->upper + UDP_HEADER;
    p->unsummed = wg_word(upper + UDP_CHECKSUM) == 0;
    p->kind = available > UDP_HEADER && !(p->unsummed && p->version == 6) ? FLOW_MERGE : FLOW_SINGLE;
    if (overlay && p->kind == FLOW_MERGE && p->version == 4) read_overlay(p, overlay);
  } else {
    p->kind = FLOW_OTHER;
  }
}

int wg_same_flow(const struct wg_flow *p, const struct wg_flow *head) {
  if (p->version != head->version) return 0;
  uint32_t source = p->version == 4 ? IPV4_SOURCE : IPV6_SOURCE;
  uint32_t protocol = p->version == 4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER;
  return p->bytes[protocol] == head->bytes[protocol] &&
         memcmp(p->bytes + source, head->bytes + source, p->upper + 4 - source) == 0;
}

/* Checks the sums of a packet in a tunnel, with one pass over the payload. */
static int inner_sums_are_right(const struct wg_flow *p) {
  struct wg_flow inner = wg_inner(p);
  uint32_t length = inner.length - inner.upper;
  if (inner.version == 4 && wg_fold(wg_sum(0, inner.bytes, IPV4_HEADER)) != 0xffff) return 0;
  uint16_t segment = wg_fold(wg_sum_long(0, inner.bytes + inner.upper, length, NULL));
  if (wg_fold(pseudo_header(inner.bytes, inner.version, TCP) + wg_net16(length) + segment) != 0xffff) return 0;
  if (p->unsummed) return 1;
  uint64_t sum = pseudo_header(p->bytes, p->version, UDP) + wg_net16(p->length - p->upper) + segment;
  return wg_fold(wg_sum(sum, p->bytes + p->upper, p->inner_upper - p->upper)) == 0xffff;
}

int wg_sums_are_right(const struct wg_flow *p) {
  uint32_t length = p->length - p->upper;
  if (p->version == 4 && wg_fold(wg_sum(0, p->bytes, IPV4_HEADER)) != 0xffff) return 0;
  if (p->inner) return inner_sums_are_right(p);
  if (p->unsummed) return 1;
  uint64_t sum = pseudo_header(p->bytes, p->version, p->protocol) + wg_net16(length);
  return wg_fold(wg_sum_long(sum, p->bytes + p->upper, length, NULL)) == 0xffff;
}
