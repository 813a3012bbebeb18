/* Merges packets into super-packets; offload.h describes it. The functions have the same order as
 * in the twin, coalesce.ts. */
#include "flow.h"
#include "bytes.h"
#include "ip.h"

enum { MAX_OPEN = 32 };

struct open_group {
  struct wg_flow head;
  int32_t *group;
  int last;
  int checked;
};

static int has_push(const struct wg_flow *p) {
  if (p->inner) return p->bytes[p->inner_upper + TCP_FLAGS] & TCP_PSH;
  return p->protocol == TCP && p->bytes[p->upper + TCP_FLAGS] & TCP_PSH;
}

static int may_open(const struct wg_flow *p, int allowed) {
  if (p->inner) return !has_push(p); /* wg_flow_read knows whether it is allowed */
  if (p->protocol != TCP) return allowed & WG_MERGE_UDP;
  if (has_push(p)) return 0;
  return allowed & (p->version == 4 ? WG_MERGE_TCP4 : WG_MERGE_TCP6);
}

static int alike(const struct wg_flow *p, const struct wg_flow *head, int merged) {
  const uint8_t *a = p->bytes, *b = head->bytes;
  if (p->version == 6) return memcmp(a, b, 4) == 0 && a[IPV6_HOP_LIMIT] == b[IPV6_HOP_LIMIT];
  uint16_t flags = wg_be16(b + IPV4_FRAGMENT);
  if (a[1] != b[1] || a[IPV4_TTL] != b[IPV4_TTL] || wg_be16(a + IPV4_FRAGMENT) != flags) return 0;
  return flags & IPV4_DONT_FRAGMENT || wg_be16(a + IPV4_ID) == (uint16_t)(wg_be16(b + IPV4_ID) + merged);
}

static int next_tcp(const struct wg_flow *p, const struct wg_flow *head, uint32_t merged) {
  const uint8_t *a = p->bytes + p->upper, *b = head->bytes + head->upper;
  return wg_be32(a + TCP_SEQUENCE) == (uint32_t)(wg_be32(b + TCP_SEQUENCE) + merged) && memcmp(a + 8, b + 8, 4) == 0 &&
         memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, p->headers - p->upper - 18) == 0;
}

/* Compares the headers inside a tunnel, and those of the tunnel itself after its UDP header. */
static int next_inner(const struct wg_flow *p, const struct wg_flow *head, int merged, uint32_t payload) {
  if (p->inner != head->inner) return 0;
  uint32_t before = p->upper + UDP_HEADER;
  if (memcmp(p->bytes + before, head->bytes + before, p->inner - before) != 0) return 0;
  struct wg_flow a = wg_inner(p), b = wg_inner(head);
  return wg_same_flow(&a, &b) && alike(&a, &b, merged) && next_tcp(&a, &b, payload);
}

static int takes(struct open_group *open, const struct wg_flow *p) {
  const struct wg_flow *head = &open->head;
  uint32_t length = (uint32_t)open->group[WG_GROUP_LENGTH], payload = p->length - p->headers;
  int merged = open->group[WG_GROUP_COUNT];
  if (p->headers != head->headers || payload > head->length - head->headers) return 0;
  if (merged == WG_MAX_MERGED || length + payload > LARGEST) return 0;
  if (p->unsummed != head->unsummed || !alike(p, head, merged)) return 0;
  if (p->protocol == TCP && !next_tcp(p, head, length - head->headers)) return 0;
  if ((p->inner || head->inner) && !next_inner(p, head, merged, length - head->headers)) return 0;
  if (!open->checked && !wg_sums_are_right(head)) return 0;
  open->checked = 1;
  return wg_sums_are_right(p);
}

/* Appends a packet. Returns whether the group is complete. */
static int append(struct open_group *open, const struct wg_flow *p) {
  const struct wg_flow *head = &open->head;
  uint32_t payload = p->length - p->headers, unit = head->length - head->headers;
  int32_t *group = open->group;
  if (group[WG_GROUP_COUNT]++ == 1) {
    int tcp = head->inner || head->protocol == TCP, version = head->inner ? wg_inner(head).version : head->version;
    group[WG_GROUP_HEADERS] = (int32_t)head->headers;
    group[WG_GROUP_GSO_TYPE] = tcp ? (version == 4 ? WG_GSO_TCPV4 : WG_GSO_TCPV6) : WG_GSO_UDP_L4;
    if (head->inner) group[WG_GROUP_GSO_TYPE] |= WG_GSO_UDP_TUNNEL_IPV4 | (head->unsummed ? 0 : WG_GROUP_TUNNEL_SUMMED);
    group[WG_GROUP_GSO_SIZE] = (int32_t)unit;
    group[WG_GROUP_CSUM_START] = (int32_t)(head->inner ? head->inner_upper : head->upper);
    group[WG_GROUP_CSUM_OFFSET] = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  }
  group[WG_GROUP_LENGTH] += (int32_t)payload;
  int push = has_push(p);
  if (push) head->bytes[group[WG_GROUP_CSUM_START] + TCP_FLAGS] |= TCP_PSH;
  return push || payload < unit;
}

static void finish_ip(uint8_t *ip, int version, uint32_t length) {
  if (version == 6) {
    wg_put_be16(ip + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
    return;
  }
  wg_put_be16(ip + IPV4_TOTAL_LENGTH, length);
  wg_put_word(ip + IPV4_CHECKSUM, 0);
  wg_put_word(ip + IPV4_CHECKSUM, wg_checksum(wg_sum(0, ip, IPV4_HEADER)));
}

/* Returns the offset of the inner IP header of a group in a tunnel; 0 without a tunnel. */
static uint32_t inner_of(const int32_t *group) {
  if (!(group[WG_GROUP_GSO_TYPE] & WG_GSO_UDP_TUNNEL_IPV4)) return 0;
  return (uint32_t)group[WG_GROUP_CSUM_START] - (group[WG_GROUP_GSO_TYPE] & WG_GSO_TCPV6 ? IPV6_HEADER : IPV4_HEADER);
}

static void finish(uint8_t *head, const int32_t *group) {
  uint32_t length = (uint32_t)group[WG_GROUP_LENGTH], upper = (uint32_t)group[WG_GROUP_CSUM_START];
  uint32_t inner = inner_of(group);
  int udp = group[WG_GROUP_GSO_TYPE] == WG_GSO_UDP_L4, version = upper - inner == IPV4_HEADER ? 4 : 6;
  if (inner) {
    uint8_t *field = head + IPV4_HEADER + UDP_CHECKSUM;
    finish_ip(head, 4, length);
    wg_put_be16(head + IPV4_HEADER + UDP_LENGTH, length - IPV4_HEADER);
    if (wg_word(field)) wg_put_word(field, wg_fold(pseudo_header(head, 4, UDP) + wg_net16(length - IPV4_HEADER)));
  }
  finish_ip(head + inner, version, length - inner);
  uint64_t sum = pseudo_header(head + inner, version, udp ? UDP : TCP) + wg_net16(length - upper);
  if (udp) wg_put_be16(head + upper + UDP_LENGTH, length - upper);
  wg_put_word(head + upper + group[WG_GROUP_CSUM_OFFSET], wg_fold(sum));
}

int wg_merge(uint8_t *slab, size_t slab_length, const int32_t *desc, int count, int allowed, const struct wg_overlay *overlay, int32_t *groups,
             int32_t *next) {
  struct open_group open[MAX_OPEN];
  int open_count = 0, group_count = 0;
  if (!(allowed & WG_MERGE_TUNNEL)) overlay = NULL;
  for (int i = 0; i < count; i++) {
    int64_t offset = desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET], length = desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH];
    if (offset < 0 || length <= 0 || (uint64_t)(offset + length) > slab_length) {
      next[i] = WG_NEXT_REFUSED;
      continue;
    }
    struct wg_flow p;
    wg_flow_read(&p, slab + offset, (uint32_t)length, overlay);
    next[i] = WG_NEXT_NONE;
    if (p.kind == FLOW_BARRIER) open_count = 0;
    if (p.kind == FLOW_SINGLE || p.kind == FLOW_MERGE) {
      int slot = open_count - 1;
      while (slot >= 0 && !wg_same_flow(&p, &open[slot].head)) slot--;
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

void wg_group_header(const int32_t *group, uint8_t vnet[WG_VNET_TUNNEL_SIZE]) {
  memset(vnet, 0, WG_VNET_TUNNEL_SIZE);
  int32_t type = group[WG_GROUP_GSO_TYPE];
  if (type == WG_GSO_NONE) return;
  uint32_t inner = inner_of(group);
  vnet[0] = WG_VNET_F_NEEDS_CSUM | (type & WG_GROUP_TUNNEL_SUMMED ? WG_VNET_F_UDP_TUNNEL_CSUM : 0);
  vnet[1] = (uint8_t)type;
  wg_put_le16(vnet + WG_VNET_HDR_LEN, inner ? inner : (uint32_t)group[WG_GROUP_HEADERS]);
  wg_put_le16(vnet + 4, (uint32_t)group[WG_GROUP_GSO_SIZE]);
  wg_put_le16(vnet + 6, (uint32_t)group[WG_GROUP_CSUM_START]);
  wg_put_le16(vnet + 8, (uint32_t)group[WG_GROUP_CSUM_OFFSET]);
  if (!inner) return;
  /* Linux 6.17 and 6.18 refuse the true offset: they demand space for an Ethernet header, which a
   * TUN does not have. They do not use the offset; ip_rcv finds the UDP header itself. */
  wg_put_le16(vnet + WG_VNET_OUTER_OFFSET, ETHERNET_HEADER + IPV4_HEADER);
  wg_put_le16(vnet + WG_VNET_INNER_OFFSET, inner);
}
