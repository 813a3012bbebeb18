/* Splits super-packets; offload.h describes it. The functions have the same order as in the twins,
 * segments.ts and split.ts. */
#include "offload.h"
#include "bytes.h"
#include "ip.h"

/* ---- segments.ts ---- */

struct upper {
  uint32_t offset;
  uint8_t protocol;
  uint8_t fragment, routed;
};

static uint32_t ipv4_header_size(const uint8_t *packet) { return (packet[0] & 15u) << 2; }

static int ip_version(const uint8_t *packet, size_t length) {
  if (length < IPV4_HEADER) return 0;
  if (packet[0] >> 4 == 4) return 4;
  return packet[0] >> 4 == 6 && length >= IPV6_HEADER ? 6 : 0;
}

static int find_upper(struct upper *found, const uint8_t *packet, size_t length, int version) {
  *found = (struct upper){0};
  if (version == 4) {
    uint32_t fragment = wg_be16(packet + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK;
    found->offset = ipv4_header_size(packet);
    found->protocol = packet[IPV4_PROTOCOL];
    found->fragment = fragment != 0;
    return found->offset >= IPV4_HEADER && found->offset <= length && (fragment & 0x1fff) == 0;
  }
  uint8_t protocol = packet[IPV6_NEXT_HEADER];
  size_t at = IPV6_HEADER;
  for (;;) {
    if (protocol == 59) return 0; /* no next header */
    if (protocol != 0 && protocol != 43 && protocol != 44 && protocol != 60) break;
    if (at + 8 > length) return 0;
    size_t size = 8;
    if (protocol == 44) {
      if (wg_be16(packet + at + 2) & 0xfff8) return 0;
      found->fragment = 1;
    } else {
      if (protocol == 43) found->routed = 1;
      size = ((size_t)packet[at + 1] + 1) << 3;
    }
    protocol = packet[at];
    at += size;
    if (at > length) return 0;
  }
  found->offset = (uint32_t)at;
  found->protocol = protocol;
  return 1;
}

static void plan_whole(struct wg_split *plan, const uint8_t *vnet) {
  const uint8_t *packet = plan->packet;
  uint32_t claimed;
  if (plan->version == 6) {
    claimed = IPV6_HEADER + wg_be16(packet + IPV6_PAYLOAD_LENGTH);
  } else {
    claimed = wg_be16(packet + IPV4_TOTAL_LENGTH);
    uint32_t header = ipv4_header_size(packet);
    if (header < IPV4_HEADER || header > claimed) return;
  }
  if (claimed > plan->length) return;
  plan->headers = plan->length;
  plan->action = WG_SPLIT_COPY;
  if (vnet[0] & WG_VNET_F_NEEDS_CSUM) {
    plan->upper = wg_le16(vnet + 6);
    plan->field = plan->upper + wg_le16(vnet + 8);
    if (plan->field + 2 > plan->length) return;
    plan->action = WG_SPLIT_CHECKSUM;
  }
  plan->count = 1;
}

/* Finds the UDP header of the tunnel and the IP header in it. Returns 0 if they are malformed. */
static int plan_tunnel(struct wg_split *plan, const uint8_t *vnet) {
  const uint8_t *packet = plan->packet;
  struct upper found;
  int type = vnet[1] & (WG_GSO_UDP_TUNNEL_IPV4 | WG_GSO_UDP_TUNNEL_IPV6);
  if (!type) return 1;
  if (type != (plan->version == 4 ? WG_GSO_UDP_TUNNEL_IPV4 : WG_GSO_UDP_TUNNEL_IPV6)) return 0;
  if (!(vnet[0] & WG_VNET_F_NEEDS_CSUM) || !find_upper(&found, packet, plan->length, plan->version)) return 0;
  if (found.fragment || found.routed || found.protocol != UDP) return 0;
  uint32_t inner = wg_le16(vnet + WG_VNET_HDR_LEN);
  if (inner < found.offset + UDP_HEADER || inner > plan->length) return 0;
  plan->tunnel = found.offset;
  plan->inner = inner;
  plan->inner_version = (uint8_t)ip_version(packet + inner, plan->length - inner);
  plan->tunnel_summed = vnet[0] & WG_VNET_F_UDP_TUNNEL_CSUM || wg_word(packet + found.offset + UDP_CHECKSUM);
  plan->tunnel_pseudo = pseudo_header(packet, plan->version, UDP);
  return plan->inner_version != 0;
}

static void plan_super(struct wg_split *plan, const uint8_t *vnet, int tcp) {
  const uint8_t *packet = plan->packet;
  struct upper found;
  if (plan->length > (plan->version == 4 ? LARGEST : LARGEST + IPV6_HEADER)) return;
  if (!find_upper(&found, packet + plan->inner, plan->length - plan->inner, plan->inner_version) || found.fragment) return;
  if (found.protocol != (tcp ? TCP : UDP)) return;
  uint32_t upper = plan->inner + found.offset, available = plan->length - upper, header = UDP_HEADER;
  if (tcp) {
    if (available < TCP_HEADER) return;
    header = (uint32_t)(packet[upper + 12] >> 4) << 2;
    if (header < TCP_HEADER) return;
  }
  uint16_t unit = wg_le16(vnet + 4);
  if (header > available || unit == 0) return;
  uint32_t field = upper + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  if (vnet[0] & WG_VNET_F_NEEDS_CSUM) {
    if (wg_le16(vnet + 6) != upper || upper + wg_le16(vnet + 8) != field) return;
    plan->pseudo = (uint64_t)wg_word(packet + field) + (uint16_t)~wg_net16(available);
  } else {
    if (found.routed) return;
    plan->pseudo = pseudo_header(packet, plan->version, found.protocol);
  }
  uint32_t payload = available - header;
  uint32_t count = payload ? (payload + unit - 1) / unit : 1;
  if (count > WG_MAX_SEGMENTS) return;
  plan->action = tcp ? WG_SPLIT_TCP : WG_SPLIT_UDP;
  plan->headers = upper + header;
  plan->unit = unit;
  plan->upper = upper;
  plan->field = field;
  plan->count = count;
}

uint32_t wg_split_plan(struct wg_split *plan, const uint8_t *vnet, size_t length) {
  plan->count = 0;
  if (length < WG_VNET_HEADER_SIZE || length > INT32_MAX) return 0;
  plan->packet = vnet + WG_VNET_HEADER_SIZE;
  plan->length = (uint32_t)length - WG_VNET_HEADER_SIZE;
  plan->version = (uint8_t)ip_version(plan->packet, plan->length);
  if (!plan->version) return 0;
  plan->tunnel = plan->inner = 0;
  plan->inner_version = plan->version;
  int type = vnet[1] & ~(WG_GSO_ECN | WG_GSO_UDP_TUNNEL_IPV4 | WG_GSO_UDP_TUNNEL_IPV6);
  if ((vnet[1] & ~WG_GSO_ECN) == WG_GSO_NONE) plan_whole(plan, vnet);
  else if (!plan_tunnel(plan, vnet)) return 0;
  else if (type == WG_GSO_TCPV4 && plan->inner_version == 4) plan_super(plan, vnet, 1);
  else if (type == WG_GSO_TCPV6 && plan->inner_version == 6) plan_super(plan, vnet, 1);
  else if (type == WG_GSO_UDP_L4) plan_super(plan, vnet, 0);
  return plan->count;
}

uint32_t wg_split_length(const struct wg_split *plan, uint32_t index) {
  if (plan->action < WG_SPLIT_TCP) return plan->length;
  uint32_t left = plan->length - plan->headers - index * plan->unit;
  return plan->headers + (left < plan->unit ? left : plan->unit);
}

uint32_t wg_padded_length(uint32_t length, int32_t mtu) {
  uint32_t aligned = (length + 15) & ~15u;
  if (mtu <= 0) return aligned;
  uint32_t limit = (uint32_t)mtu, unit = length > limit ? length % limit : length;
  uint32_t padded = (unit + 15) & ~15u;
  return length + (padded < limit ? padded : limit) - unit;
}

uint32_t wg_message_size(const struct wg_split *plan, int32_t mtu) {
  return plan->count ? 32 + wg_padded_length(wg_split_length(plan, 0), mtu) : 0;
}

uint64_t wg_sealed_size(const struct wg_split *plan, int32_t mtu) {
  if (!plan->count) return 0;
  uint64_t last = 32 + wg_padded_length(wg_split_length(plan, plan->count - 1), mtu);
  if (plan->count == 1) return last;
  return (uint64_t)(plan->count - 1) * wg_message_size(plan, mtu) + last;
}

/* ---- split.ts ---- */

/* Adapts the IP header at `out` to a segment of `length` bytes. `header` counts IPv4 only. */
static void fix_ip(uint8_t *out, int version, uint32_t header, uint32_t length, uint32_t index) {
  if (version == 6) {
    wg_put_be16(out + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
    return;
  }
  wg_put_be16(out + IPV4_TOTAL_LENGTH, length);
  wg_put_be16(out + IPV4_ID, wg_be16(out + IPV4_ID) + index);
  wg_put_word(out + IPV4_CHECKSUM, 0);
  wg_put_word(out + IPV4_CHECKSUM, wg_checksum(wg_sum(0, out, header)));
}

static void fix_tcp(const struct wg_split *plan, uint8_t *upper, uint32_t index) {
  wg_put_be32(upper + TCP_SEQUENCE, wg_be32(upper + TCP_SEQUENCE) + index * plan->unit);
  if (index < plan->count - 1) upper[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
  if (index > 0) upper[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

/* Adapts the headers of the tunnel. The inner segment's checksum makes that segment's sum the
 * complement of `pseudo`, its pseudo header's sum, so the payload is not summed again (the kernel's
 * "local checksum offload"). */
static void fix_tunnel(const struct wg_split *plan, uint8_t *out, uint32_t length, uint32_t index, uint64_t pseudo) {
  uint8_t *udp = out + plan->tunnel;
  uint32_t before = plan->upper - plan->tunnel;
  fix_ip(out, plan->version, plan->tunnel, length, index);
  wg_put_be16(udp + UDP_LENGTH, length - plan->tunnel);
  wg_put_word(udp + UDP_CHECKSUM, 0);
  if (!plan->tunnel_summed) return;
  uint16_t rest = wg_checksum(pseudo);
  /* at an odd offset, the bytes of each word change places (RFC 1071 section 2B) */
  if (before & 1) rest = (uint16_t)(rest << 8 | rest >> 8);
  uint16_t sum = wg_checksum(wg_sum(plan->tunnel_pseudo + wg_net16(length - plan->tunnel) + rest, udp, before));
  wg_put_word(udp + UDP_CHECKSUM, sum ? sum : 0xffff);
}

uint32_t wg_split_write(const struct wg_split *plan, uint32_t index, uint8_t *out) {
  uint32_t length = wg_split_length(plan, index);
  if (plan->action == WG_SPLIT_COPY) {
    memcpy(out, plan->packet, length);
    return length;
  }
  if (plan->action == WG_SPLIT_CHECKSUM) {
    memcpy(out, plan->packet, plan->upper);
    uint16_t sum = wg_checksum(wg_sum_long(0, plan->packet + plan->upper, length - plan->upper, out + plan->upper));
    wg_put_word(out + plan->field, sum ? sum : 0xffff);
    return length;
  }
  memcpy(out, plan->packet, plan->headers);
  fix_ip(out + plan->inner, plan->inner_version, plan->upper - plan->inner, length - plan->inner, index);
  uint8_t *upper = out + plan->upper;
  if (plan->action == WG_SPLIT_TCP) fix_tcp(plan, upper, index);
  else wg_put_be16(upper + UDP_LENGTH, length - plan->upper);
  wg_put_word(out + plan->field, 0);
  /* headers of TCP and UDP have an even length, so the payload begins at a word of the sum */
  uint64_t pseudo = plan->pseudo + wg_net16(length - plan->upper);
  uint64_t sum = wg_sum(pseudo, upper, plan->headers - plan->upper);
  const uint8_t *payload = plan->packet + plan->headers + index * plan->unit;
  sum = wg_sum_long(sum, payload, length - plan->headers, out + plan->headers);
  uint16_t result = wg_checksum(sum);
  wg_put_word(out + plan->field, plan->action == WG_SPLIT_TCP || result ? result : 0xffff);
  if (plan->tunnel) fix_tunnel(plan, out, length, index, pseudo);
  return length;
}
