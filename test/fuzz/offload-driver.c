/* Feeds random and damaged packets to native/offload.c and native/coalesce.c. Each packet is in
 * memory of exactly its size, so that the sanitizers detect every access beyond it.
 * memory-safety.test.ts builds and runs this program; by hand:
 *   cc -g -O1 -fsanitize=address,undefined -Inative \
 *     test/fuzz/offload-driver.c native/{offload,coalesce,sum}.c
 *   ./a.out CASES SEED */
#include "offload.h"
#include "bytes.h"
#include "ip.h"
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 80, LARGEST_PACKET = 65535 + IPV6_HEADER };

static uint64_t state;
static uint64_t splits, segments, merges, joined;

/* splitmix64 */
static uint64_t next_random(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}
static uint32_t below(uint32_t n) { return (uint32_t)(next_random() % n); }
static int chance(uint32_t percent) { return below(100) < percent; }

static void must(int condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "fault: %s\n", what);
  abort();
}

static uint8_t *exactly(size_t size) {
  uint8_t *memory = malloc(size ? size : 1);
  must(memory != NULL, "out of memory");
  return memory;
}

struct flow {
  int version, tcp;
  uint32_t sequence, id, options, extensions;
  uint8_t port;
};

static struct flow random_flow(void) {
  return (struct flow){
      .version = chance(50) ? 4 : 6,
      .tcp = chance(65),
      .sequence = chance(80) ? (uint32_t)next_random() : 0u - below(5000),
      .id = below(65536),
      .options = chance(50) ? 0 : below(11),
      .extensions = chance(85) ? 0 : 1 + below(3),
      .port = (uint8_t)below(3),
  };
}

static uint32_t random_payload(void) {
  uint32_t kind = below(1000);
  if (kind < 80) return 0;
  if (kind < 600) return 1 + below(100);
  if (kind < 970) return below(1500);
  return kind < 998 ? below(9000) : below(66000);
}

/* Writes a packet of the flow. Its checksum is complete if `sum`, else the pseudo header's sum.
 * Returns its length. */
static uint32_t make(uint8_t *p, const struct flow *f, uint32_t payload, int sum) {
  uint32_t upper = f->version == 4 ? IPV4_HEADER : IPV6_HEADER;
  uint8_t protocol = f->tcp ? TCP : UDP;
  memset(p, 0, 256);
  if (f->version == 4) {
    uint32_t options = f->extensions ? below(11) : 0;
    upper += options * 4;
    p[0] = (uint8_t)(0x45 + options);
    p[8] = 64;
    p[IPV4_PROTOCOL] = protocol;
    wg_put_be16(p + IPV4_ID, f->id);
    wg_put_be16(p + IPV4_FRAGMENT, chance(90) ? IPV4_DONT_FRAGMENT : below(65536));
  } else {
    uint8_t *next = p + IPV6_NEXT_HEADER;
    static const uint8_t kinds[] = {0, 43, 44, 51, 59, 60};
    p[0] = 0x60;
    for (uint32_t i = 0; i < f->extensions; i++) {
      *next = kinds[below(sizeof kinds)];
      next = p + upper;
      p[upper + 1] = (uint8_t)(chance(90) ? 0 : below(256));
      upper += 8;
    }
    *next = protocol;
  }
  uint8_t *u = p + upper;
  uint32_t header = f->tcp ? TCP_HEADER + f->options * 4 : UDP_HEADER;
  uint32_t length = upper + header + payload;
  if (length > LARGEST_PACKET) {
    payload = 0;
    length = upper + header;
  }
  for (uint32_t i = 0; i < payload; i++) u[header + i] = (uint8_t)next_random();
  u[1] = f->port;
  if (f->tcp) {
    wg_put_be32(u + TCP_SEQUENCE, f->sequence);
    u[12] = (uint8_t)(header << 2);
    u[TCP_FLAGS] = chance(90) ? TCP_ACK : (uint8_t)next_random();
  } else {
    wg_put_be16(u + UDP_LENGTH, length - upper);
  }
  if (f->version == 4) {
    wg_put_be16(p + IPV4_TOTAL_LENGTH, length);
    wg_put_word(p + IPV4_CHECKSUM, wg_checksum(wg_sum(0, p, upper)));
  } else {
    wg_put_be16(p + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
  }
  uint32_t field = f->tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  uint64_t pseudo = pseudo_header(p, f->version, protocol) + wg_net16(length - upper);
  wg_put_word(u + field, sum ? wg_checksum(wg_sum(pseudo, u, length - upper)) : wg_fold(pseudo));
  return length;
}

/* Puts a packet into VXLAN over IPv4, in place. Returns its new length. */
static uint32_t wrap(uint8_t *p, uint32_t length, uint32_t id, int sum) {
  enum { BEFORE = IPV4_HEADER + UDP_HEADER + 8 + ETHERNET_HEADER };
  if (length + BEFORE > LARGEST_PACKET) return length;
  memmove(p + BEFORE, p, length);
  memset(p, 0, BEFORE);
  length += BEFORE;
  memcpy(p, (uint8_t[]){0x45}, 1);
  wg_put_be16(p + IPV4_TOTAL_LENGTH, length);
  wg_put_be16(p + IPV4_ID, id);
  memcpy(p + IPV4_TTL, (uint8_t[]){64, UDP, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 1, 1, 4789 >> 8, 4789 & 255}, 16);
  wg_put_be16(p + IPV4_HEADER + UDP_LENGTH, length - IPV4_HEADER);
  p[IPV4_HEADER + UDP_HEADER] = 8;
  wg_put_be16(p + BEFORE - 2, p[BEFORE] >> 4 == 4 ? 0x0800 : 0x86dd);
  wg_put_word(p + IPV4_CHECKSUM, wg_checksum(wg_sum(0, p, IPV4_HEADER)));
  uint64_t all = wg_sum(pseudo_header(p, 4, UDP) + wg_net16(length - IPV4_HEADER), p + IPV4_HEADER, length - IPV4_HEADER);
  if (sum) wg_put_word(p + IPV4_HEADER + UDP_CHECKSUM, wg_checksum(all));
  return length;
}

static void damage(uint8_t *p, uint32_t length) {
  if (!length) return;
  for (uint32_t times = 1 + below(3); times > 0; times--) p[below(length < 110 ? length : 110)] = (uint8_t)next_random();
}

/* Truncates the packet and adjusts its length fields. Returns its new length. */
static uint32_t cut(uint8_t *p, uint32_t length) {
  uint32_t left = below(length + 1), upper = p[0] >> 4 == 4 ? IPV4_HEADER : IPV6_HEADER;
  if (chance(70) && length > upper + 30) left = upper + below(30);
  if (left < upper) return left;
  if (p[0] >> 4 == 4) wg_put_be16(p + IPV4_TOTAL_LENGTH, left);
  else wg_put_be16(p + IPV6_PAYLOAD_LENGTH, left - IPV6_HEADER);
  if (left >= upper + UDP_HEADER && p[0] == 0x45 && p[IPV4_PROTOCOL] == UDP) wg_put_be16(p + upper + UDP_LENGTH, left - upper);
  return left;
}

/* Writes every segment of a plan into memory of exactly its size. */
static uint32_t split_all(const uint8_t *range, size_t length) {
  struct wg_split plan;
  uint32_t count = wg_split_plan(&plan, range, length);
  must(count <= WG_MAX_SEGMENTS, "too many segments");
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t size = wg_split_length(&plan, i);
    uint8_t *out = exactly(size);
    must(wg_split_write(&plan, i, out) == size, "another length than planned");
    bytes += 32 + wg_padded_length(size, 1420);
    free(out);
  }
  must(bytes == wg_sealed_size(&plan, 1420), "another size than planned");
  splits += count > 0;
  segments += count;
  return count;
}

static void split_case(void) {
  static uint8_t made[WG_VNET_HEADER_SIZE + LARGEST_PACKET + 256];
  struct flow f = random_flow();
  uint32_t payload = random_payload();
  uint32_t length = WG_VNET_HEADER_SIZE + make(made + WG_VNET_HEADER_SIZE, &f, payload, 0);
  uint32_t header = (f.tcp ? TCP_HEADER + f.options * 4 : UDP_HEADER) + payload;
  uint32_t start = length > header + WG_VNET_HEADER_SIZE ? length - header - WG_VNET_HEADER_SIZE : 0;
  made[0] = chance(85) ? WG_VNET_F_NEEDS_CSUM : (uint8_t)next_random();
  made[1] = chance(80) ? (f.tcp ? (f.version == 4 ? WG_GSO_TCPV4 : WG_GSO_TCPV6) : WG_GSO_UDP_L4) : (uint8_t)(next_random() & 0xe7);
  wg_put_le16(made + 2, below(65536));
  wg_put_le16(made + 4, chance(90) ? 1 + payload / (1 + below(64)) : below(65536));
  wg_put_le16(made + 6, chance(90) ? start : below(65536));
  wg_put_le16(made + 8, chance(90) ? (f.tcp ? TCP_CHECKSUM : UDP_CHECKSUM) : below(65536));
  if (chance(5)) {
    /* a checksum to complete at the very end */
    uint32_t field = length - WG_VNET_HEADER_SIZE - below(4);
    made[0] = WG_VNET_F_NEEDS_CSUM;
    made[1] = WG_GSO_NONE;
    wg_put_le16(made + 6, field / 2);
    wg_put_le16(made + 8, field - field / 2);
  }
  if (chance(20)) {
    uint32_t before = wrap(made + WG_VNET_HEADER_SIZE, length - WG_VNET_HEADER_SIZE, 1, (int)below(2)) + WG_VNET_HEADER_SIZE - length;
    if (before) {
      length += before;
      made[1] |= WG_GSO_UDP_TUNNEL_IPV4;
      wg_put_le16(made + WG_VNET_HDR_LEN, before + (chance(90) ? 0 : below(2000)));
      wg_put_le16(made + 6, start + before);
    }
  }
  if (chance(20)) damage(made, length);
  if (chance(10)) length = below(length + 1);
  else if (chance(10)) length = WG_VNET_HEADER_SIZE + cut(made + WG_VNET_HEADER_SIZE, length - WG_VNET_HEADER_SIZE);
  uint8_t *range = exactly(length);
  memcpy(range, made, length);
  split_all(range, length);
  free(range);
}

/* Checks that a group's fields are correct, and that splitting it as the kernel does returns the
 * same number of packets. */
static void check_group(const uint8_t *slab, const int32_t *desc, int count, const int32_t *group, const int32_t *next) {
  size_t length = WG_VNET_HEADER_SIZE;
  uint8_t *range = exactly(WG_VNET_HEADER_SIZE + (size_t)group[WG_GROUP_LENGTH]);
  int members = 0;
  uint8_t vnet[WG_VNET_TUNNEL_SIZE];
  wg_group_header(group, vnet);
  memcpy(range, vnet, WG_VNET_HEADER_SIZE);
  for (int i = group[WG_GROUP_FIRST]; i >= 0; i = next[i]) {
    must(i < count && ++members <= WG_MAX_MERGED, "a group without end");
    int32_t skip = members == 1 ? 0 : group[WG_GROUP_HEADERS];
    int32_t size = desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH] - skip;
    must(size > 0 && length + (size_t)size <= WG_VNET_HEADER_SIZE + (size_t)group[WG_GROUP_LENGTH], "a group of another length");
    memcpy(range + length, slab + desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET] + skip, (size_t)size);
    length += (size_t)size;
  }
  must(members == group[WG_GROUP_COUNT] && length == WG_VNET_HEADER_SIZE + (size_t)group[WG_GROUP_LENGTH], "a group that lies");
  uint32_t parts = split_all(range, length);
  if (members > 1) must(parts == (uint32_t)members, "a group that comes apart as something else");
  joined += members > 1;
  free(range);
}

static void merge_case(void) {
  static uint8_t made[MOST * 2048 + 2 * LARGEST_PACKET];
  int count = chance(95) ? 1 + (int)below(10) : 1 + (int)below(MOST);
  uint32_t errors = chance(50) ? 0 : below(60), unit = 1 + below(chance(90) ? 200 : 1400);
  struct flow flows[2] = {random_flow(), random_flow()};
  int32_t *desc = (int32_t *)exactly((size_t)count * WG_PACKET_STRIDE * sizeof *desc);
  if (chance(90)) flows[0].extensions = flows[1].extensions = 0;
  uint32_t at = 0, vxlan = chance(40) ? 1 + below(2) : 0;
  for (int i = 0; i < count; i++) {
    struct flow *f = &flows[chance(20)];
    uint32_t payload = chance(90) ? unit : below(unit + 20);
    uint32_t length = make(made + at, f, payload, 1);
    if (vxlan) length = wrap(made + at, length, f->id, vxlan == 1);
    if (chance(errors)) damage(made + at, length);
    if (chance(errors / 4)) length = below(length + 1);
    if (chance(errors / 4)) length = cut(made + at, length);
    /* a TCP header that would end after the packet */
    if (chance(errors / 4)) made[at + (f->version == 4 ? IPV4_HEADER : IPV6_HEADER) + 12] = 0xf0;
    desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET] = (int32_t)at;
    desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH] = (int32_t)length;
    if (chance(errors / 10)) desc[i * WG_PACKET_STRIDE + (int)below(2)] = (int32_t)next_random();
    f->sequence += payload;
    f->id++;
    at += length;
  }
  /* the last packet ends at the end of the memory */
  uint8_t *slab = exactly(at);
  memcpy(slab, made, at);
  int32_t *groups = (int32_t *)exactly((size_t)count * WG_GROUP_STRIDE * sizeof *groups);
  int32_t *next = (int32_t *)exactly((size_t)count * sizeof *next);
  struct wg_overlay overlay = {4789, 0x0a000001};
  int made_groups = wg_merge(slab, at, desc, count, chance(90) ? 15 : (int)below(16), &overlay, groups, next);
  must(made_groups >= 0 && made_groups <= count, "more groups than packets");
  for (int g = 0; g < made_groups; g++) check_group(slab, desc, count, groups + g * WG_GROUP_STRIDE, next);
  merges++;
  free(next);
  free(groups);
  free(slab);
  free(desc);
}

int main(int argc, char **argv) {
  uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000, seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  for (uint64_t i = 0; i < cases; i++) {
    state = seed * 0x9e3779b97f4a7c15 + i * 0xd1342543de82ef95;
    split_case();
    merge_case();
  }
  printf("%llu cases of seed %llu: %llu ranges split into %llu segments, %llu batches, %llu groups merged, no fault\n",
         (unsigned long long)cases, (unsigned long long)seed, (unsigned long long)splits, (unsigned long long)segments,
         (unsigned long long)merges, (unsigned long long)joined);
  return 0;
}
