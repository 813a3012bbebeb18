/* Split and merge: see offload.h. The order of the functions is that of the twins: segments.ts, split.ts, flow.ts, coalesce.ts. */
#include "offload.h"
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
};

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

static uint64_t pseudo_header(const uint8_t *packet, int version, uint8_t protocol) {
  return version == 4 ? wg_sum(wg_net16(protocol), packet + IPV4_SOURCE, 8)
                      : wg_sum(wg_net16(protocol), packet + IPV6_SOURCE, 32);
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

static void plan_super(struct wg_split *plan, const uint8_t *vnet, int tcp) {
  const uint8_t *packet = plan->packet;
  struct upper found;
  if (plan->length > (plan->version == 4 ? LARGEST : LARGEST + IPV6_HEADER)) return;
  if (!find_upper(&found, packet, plan->length, plan->version) || found.fragment) return;
  if (found.protocol != (tcp ? TCP : UDP)) return;
  uint32_t available = plan->length - found.offset, header = UDP_HEADER;
  if (tcp) {
    if (available < TCP_HEADER) return;
    header = (uint32_t)(packet[found.offset + 12] >> 4) << 2;
    if (header < TCP_HEADER) return;
  }
  uint16_t unit = wg_le16(vnet + 4);
  if (header > available || unit == 0) return;
  uint32_t field = found.offset + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  if (vnet[0] & WG_VNET_F_NEEDS_CSUM) {
    if (wg_le16(vnet + 6) != found.offset || found.offset + wg_le16(vnet + 8) != field) return;
    plan->pseudo = (uint64_t)wg_word(packet + field) + (uint16_t)~wg_net16(available);
  } else {
    if (found.routed) return;
    plan->pseudo = pseudo_header(packet, plan->version, found.protocol);
  }
  uint32_t payload = available - header;
  uint32_t count = payload ? (payload + unit - 1) / unit : 1;
  if (count > WG_MAX_SEGMENTS) return;
  plan->action = tcp ? WG_SPLIT_TCP : WG_SPLIT_UDP;
  plan->headers = found.offset + header;
  plan->unit = unit;
  plan->upper = found.offset;
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
  int type = vnet[1] & ~WG_GSO_ECN;
  if (type == WG_GSO_NONE) plan_whole(plan, vnet);
  else if (type == WG_GSO_TCPV4 && plan->version == 4) plan_super(plan, vnet, 1);
  else if (type == WG_GSO_TCPV6 && plan->version == 6) plan_super(plan, vnet, 1);
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

uint64_t wg_sealed_size(const struct wg_split *plan, int32_t mtu) {
  if (!plan->count) return 0;
  uint64_t last = 32 + wg_padded_length(wg_split_length(plan, plan->count - 1), mtu);
  if (plan->count == 1) return last;
  return (uint64_t)(plan->count - 1) * (32 + wg_padded_length(wg_split_length(plan, 0), mtu)) + last;
}

/* ---- split.ts ---- */

static void fix_ipv4(uint8_t *out, uint32_t length, uint32_t index) {
  wg_put_be16(out + IPV4_TOTAL_LENGTH, length);
  wg_put_be16(out + IPV4_ID, wg_be16(out + IPV4_ID) + index);
  wg_put_word(out + IPV4_CHECKSUM, 0);
  wg_put_word(out + IPV4_CHECKSUM, wg_checksum(wg_sum(0, out, ipv4_header_size(out))));
}

static void fix_tcp(const struct wg_split *plan, uint8_t *upper, uint32_t index) {
  wg_put_be32(upper + TCP_SEQUENCE, wg_be32(upper + TCP_SEQUENCE) + index * plan->unit);
  if (index < plan->count - 1) upper[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
  if (index > 0) upper[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

uint32_t wg_split_write(const struct wg_split *plan, uint32_t index, uint8_t *out) {
  uint32_t length = wg_split_length(plan, index);
  if (plan->action == WG_SPLIT_COPY) {
    memcpy(out, plan->packet, length);
    return length;
  }
  if (plan->action == WG_SPLIT_CHECKSUM) {
    memcpy(out, plan->packet, plan->upper);
    uint16_t sum = wg_checksum(wg_sum_and_copy(0, plan->packet + plan->upper, length - plan->upper, out + plan->upper));
    wg_put_word(out + plan->field, sum ? sum : 0xffff);
    return length;
  }
  memcpy(out, plan->packet, plan->headers);
  if (plan->version == 4) fix_ipv4(out, length, index);
  else wg_put_be16(out + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
  uint8_t *upper = out + plan->upper;
  if (plan->action == WG_SPLIT_TCP) fix_tcp(plan, upper, index);
  else wg_put_be16(upper + UDP_LENGTH, length - plan->upper);
  wg_put_word(out + plan->field, 0);
  /* headers of TCP and UDP are of even length, so the payload's words stay words */
  uint64_t sum = wg_sum(plan->pseudo + wg_net16(length - plan->upper), upper, plan->headers - plan->upper);
  const uint8_t *payload = plan->packet + plan->headers + index * plan->unit;
  sum = wg_sum_and_copy(sum, payload, length - plan->headers, out + plan->headers);
  uint16_t result = wg_checksum(sum);
  wg_put_word(out + plan->field, plan->action == WG_SPLIT_TCP || result ? result : 0xffff);
  return length;
}

/* ---- flow.ts ---- */

enum kind { FLOW_OTHER, FLOW_SINGLE, FLOW_MERGE, FLOW_BARRIER };

struct packet {
  uint8_t *bytes;
  uint32_t length;
  uint8_t kind, version, protocol;
  uint32_t upper, headers;
};

static void read_packet(struct packet *p, uint8_t *bytes, uint32_t length) {
  *p = (struct packet){.bytes = bytes, .length = length, .kind = FLOW_BARRIER};
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
    p->kind = available > UDP_HEADER && wg_word(upper + UDP_CHECKSUM) ? FLOW_MERGE : FLOW_SINGLE;
  } else {
    p->kind = FLOW_OTHER;
  }
}

static int same_flow(const struct packet *p, const struct packet *head) {
  if (p->version != head->version) return 0;
  uint32_t source = p->version == 4 ? IPV4_SOURCE : IPV6_SOURCE;
  uint32_t protocol = p->version == 4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER;
  return p->bytes[protocol] == head->bytes[protocol] &&
         memcmp(p->bytes + source, head->bytes + source, p->upper + 4 - source) == 0;
}

static int sums_are_right(const struct packet *p) {
  uint32_t length = p->length - p->upper;
  if (p->version == 4 && wg_fold(wg_sum(0, p->bytes, IPV4_HEADER)) != 0xffff) return 0;
  uint64_t sum = pseudo_header(p->bytes, p->version, p->protocol) + wg_net16(length);
  return wg_fold(wg_sum(sum, p->bytes + p->upper, length)) == 0xffff;
}

/* ---- coalesce.ts ---- */

enum { MAX_OPEN = 32 };

struct open_group {
  struct packet head;
  int32_t *group;
  int last;
  int checked;
};

static int may_open(const struct packet *p, int allowed) {
  if (p->protocol != TCP) return allowed & WG_MERGE_UDP;
  if (p->bytes[p->upper + TCP_FLAGS] & TCP_PSH) return 0;
  return allowed & (p->version == 4 ? WG_MERGE_TCP4 : WG_MERGE_TCP6);
}

static int alike(const struct packet *p, const struct packet *head, int merged) {
  const uint8_t *a = p->bytes, *b = head->bytes;
  if (p->version == 6) return memcmp(a, b, 4) == 0 && a[IPV6_HOP_LIMIT] == b[IPV6_HOP_LIMIT];
  uint16_t flags = wg_be16(b + IPV4_FRAGMENT);
  if (a[1] != b[1] || a[IPV4_TTL] != b[IPV4_TTL] || wg_be16(a + IPV4_FRAGMENT) != flags) return 0;
  return flags & IPV4_DONT_FRAGMENT || wg_be16(a + IPV4_ID) == (uint16_t)(wg_be16(b + IPV4_ID) + merged);
}

static int next_tcp(const struct packet *p, const struct packet *head, uint32_t merged) {
  const uint8_t *a = p->bytes + p->upper, *b = head->bytes + head->upper;
  return wg_be32(a + TCP_SEQUENCE) == (uint32_t)(wg_be32(b + TCP_SEQUENCE) + merged) && memcmp(a + 8, b + 8, 4) == 0 &&
         memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, p->headers - p->upper - 18) == 0;
}

static int takes(struct open_group *open, const struct packet *p) {
  const struct packet *head = &open->head;
  uint32_t length = (uint32_t)open->group[WG_GROUP_LENGTH], payload = p->length - p->headers;
  int merged = open->group[WG_GROUP_COUNT];
  if (p->headers != head->headers || payload > head->length - head->headers) return 0;
  if (merged == WG_MAX_MERGED || length + payload > LARGEST) return 0;
  if (!alike(p, head, merged)) return 0;
  if (p->protocol == TCP && !next_tcp(p, head, length - head->headers)) return 0;
  if (!open->checked && !sums_are_right(head)) return 0;
  open->checked = 1;
  return sums_are_right(p);
}

/* Returns whether the group is complete. */
static int append(struct open_group *open, const struct packet *p) {
  const struct packet *head = &open->head;
  uint32_t payload = p->length - p->headers, unit = head->length - head->headers;
  int32_t *group = open->group;
  if (group[WG_GROUP_COUNT]++ == 1) {
    int tcp = head->protocol == TCP;
    group[WG_GROUP_HEADERS] = (int32_t)head->headers;
    group[WG_GROUP_GSO_TYPE] = tcp ? (head->version == 4 ? WG_GSO_TCPV4 : WG_GSO_TCPV6) : WG_GSO_UDP_L4;
    group[WG_GROUP_GSO_SIZE] = (int32_t)unit;
    group[WG_GROUP_CSUM_START] = (int32_t)head->upper;
    group[WG_GROUP_CSUM_OFFSET] = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  }
  group[WG_GROUP_LENGTH] += (int32_t)payload;
  int push = p->protocol == TCP && p->bytes[p->upper + TCP_FLAGS] & TCP_PSH;
  if (push) head->bytes[head->upper + TCP_FLAGS] |= TCP_PSH;
  return push || payload < unit;
}

static void finish(uint8_t *head, const int32_t *group) {
  uint32_t length = (uint32_t)group[WG_GROUP_LENGTH], upper = (uint32_t)group[WG_GROUP_CSUM_START];
  int udp = group[WG_GROUP_GSO_TYPE] == WG_GSO_UDP_L4, version = upper == IPV4_HEADER ? 4 : 6;
  if (version == 4) {
    wg_put_be16(head + IPV4_TOTAL_LENGTH, length);
    wg_put_word(head + IPV4_CHECKSUM, 0);
    wg_put_word(head + IPV4_CHECKSUM, wg_checksum(wg_sum(0, head, IPV4_HEADER)));
  } else {
    wg_put_be16(head + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
  }
  uint64_t sum = pseudo_header(head, version, udp ? UDP : TCP) + wg_net16(length - upper);
  if (udp) wg_put_be16(head + upper + UDP_LENGTH, length - upper);
  wg_put_word(head + upper + group[WG_GROUP_CSUM_OFFSET], wg_fold(sum));
}

int wg_merge(uint8_t *slab, size_t slab_length, const int32_t *desc, int count, int allowed, int32_t *groups, int32_t *next) {
  struct open_group open[MAX_OPEN];
  int open_count = 0, group_count = 0;
  for (int i = 0; i < count; i++) {
    int64_t offset = desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET], length = desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH];
    if (offset < 0 || length <= 0 || (uint64_t)(offset + length) > slab_length) {
      next[i] = WG_NEXT_REFUSED;
      continue;
    }
    struct packet p;
    read_packet(&p, slab + offset, (uint32_t)length);
    next[i] = WG_NEXT_NONE;
    if (p.kind == FLOW_BARRIER) open_count = 0;
    if (p.kind == FLOW_SINGLE || p.kind == FLOW_MERGE) {
      int slot = open_count - 1;
      while (slot >= 0 && !same_flow(&p, &open[slot].head)) slot--;
      if (slot >= 0) {
        int joined = p.kind == FLOW_MERGE && takes(&open[slot], &p);
        if (joined) {
          next[open[slot].last] = i;
          open[slot].last = i;
        }
        if (!joined || append(&open[slot], &p)) open[slot] = open[--open_count];
        if (joined) continue;
      }
    }
    int32_t *group = groups + (size_t)group_count++ * WG_GROUP_STRIDE;
    memset(group, 0, WG_GROUP_STRIDE * sizeof *group);
    group[WG_GROUP_FIRST] = i;
    group[WG_GROUP_COUNT] = 1;
    group[WG_GROUP_LENGTH] = (int32_t)length;
    if (p.kind == FLOW_MERGE && may_open(&p, allowed)) {
      if (open_count == MAX_OPEN) open[0] = open[--open_count];
      open[open_count++] = (struct open_group){.head = p, .group = group, .last = i};
    }
  }
  for (int g = 0; g < group_count; g++) {
    const int32_t *group = groups + (size_t)g * WG_GROUP_STRIDE;
    if (group[WG_GROUP_COUNT] > 1) finish(slab + desc[group[WG_GROUP_FIRST] * WG_PACKET_STRIDE + WG_PACKET_OFFSET], group);
  }
  return group_count;
}

void wg_group_header(const int32_t *group, uint8_t vnet[WG_VNET_HEADER_SIZE]) {
  memset(vnet, 0, WG_VNET_HEADER_SIZE);
  if (group[WG_GROUP_GSO_TYPE] == WG_GSO_NONE) return;
  vnet[0] = WG_VNET_F_NEEDS_CSUM;
  vnet[1] = (uint8_t)group[WG_GROUP_GSO_TYPE];
  wg_put_le16(vnet + 2, (uint32_t)group[WG_GROUP_HEADERS]);
  wg_put_le16(vnet + 4, (uint32_t)group[WG_GROUP_GSO_SIZE]);
  wg_put_le16(vnet + 6, (uint32_t)group[WG_GROUP_CSUM_START]);
  wg_put_le16(vnet + 8, (uint32_t)group[WG_GROUP_CSUM_OFFSET]);
}
