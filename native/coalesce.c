/* Merges packets into super-packets; offload.h describes it. The functions have the same order as
 * in the twins, flow.ts and coalesce.ts. */
#include "offload.h"
#include "bytes.h"
#include "ip.h"

/* ---- flow.ts ---- */

enum kind { FLOW_OTHER, FLOW_SINGLE, FLOW_MERGE, FLOW_BARRIER };

struct packet {
  uint8_t *bytes;
  uint32_t length;
  uint8_t kind, version, protocol;
  uint8_t unsummed; /* UDP without a checksum */
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
    p->unsummed = wg_word(upper + UDP_CHECKSUM) == 0;
    p->kind = available > UDP_HEADER && !(p->unsummed && p->version == 6) ? FLOW_MERGE : FLOW_SINGLE;
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
  if (p->unsummed) return 1;
  uint64_t sum = pseudo_header(p->bytes, p->version, p->protocol) + wg_net16(length);
  return wg_fold(wg_sum_long(sum, p->bytes + p->upper, length, NULL)) == 0xffff;
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
  if (p->unsummed != head->unsummed || !alike(p, head, merged)) return 0;
  if (p->protocol == TCP && !next_tcp(p, head, length - head->headers)) return 0;
  if (!open->checked && !sums_are_right(head)) return 0;
  open->checked = 1;
  return sums_are_right(p);
}

/* Appends a packet. Returns whether the group is complete. */
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
