/* Makes and compares packets: see packets.h. */
#include "packets.h"

/* No packet follows after this many bytes, so that an input does not take long. */
enum { LONGEST_BATCH = 1 << 17 };
/* The kinds of a packet: one byte of the input. */
enum { V6 = 1, IS_UDP = 2, WRONG_SUM = 4, DAMAGED = 8, CONTINUES = 16, RAW = 32, PUSH = 64, OUTSIDE = 128 };

struct flow {
  uint32_t sequence, id;
};

static void put_sums(uint8_t *p, uint32_t length, uint32_t upper, int udp) {
  uint32_t field = upper + (udp ? UDP_CHECKSUM : TCP_CHECKSUM);
  uint64_t sum = plain_pseudo(p, udp ? UDP : TCP, length - upper);
  wg_put_be16(p + field, 0);
  wg_put_be16(p + field, 0xffff - plain_fold(plain_sum(sum, p + upper, length - upper)));
  if (p[0] >> 4 == 6) return;
  wg_put_be16(p + IPV4_CHECKSUM, 0);
  wg_put_be16(p + IPV4_CHECKSUM, 0xffff - plain_fold(plain_sum(0, p, IPV4_HEADER)));
}

static uint32_t make_packet(struct input *in, uint8_t kind, uint8_t *p, struct flow *flow) {
  uint8_t shape = (uint8_t)take(in, 1);
  uint32_t payload = (uint32_t)take(in, 1);
  if (payload > 250) payload = (payload - 250) * (uint32_t)take(in, 2);
  if (payload > 65400) payload = 65400;
  int six = kind & V6, udp = kind & IS_UDP;
  uint32_t upper = six ? IPV6_HEADER : IPV4_HEADER, options = udp ? 0 : (shape >> 2 & 3) * 4;
  uint32_t header = udp ? UDP_HEADER : TCP_HEADER + options, length = upper + header + payload;
  if (!(kind & CONTINUES)) *flow = (struct flow){.sequence = 0xfffffc00u + shape * 8u, .id = shape * 256u};
  memset(p, 0, upper + header);
  p[0] = six ? 0x60 : 0x45;
  p[six ? IPV6_NEXT_HEADER : IPV4_PROTOCOL] = udp ? UDP : TCP;
  p[six ? IPV6_HOP_LIMIT : IPV4_TTL] = 64;
  wg_put_be16(p + (six ? IPV6_PAYLOAD_LENGTH : IPV4_TOTAL_LENGTH), six ? length - IPV6_HEADER : length);
  if (!six) wg_put_be16(p + IPV4_ID, flow->id++);
  if (!six && shape & 16) wg_put_be16(p + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT);
  uint8_t *u = p + upper;
  u[1] = shape & 3; /* the port */
  if (udp) {
    wg_put_be16(u + UDP_LENGTH, length - upper);
  } else {
    wg_put_be32(u + TCP_SEQUENCE, flow->sequence);
    u[12] = (uint8_t)(header << 2);
    u[TCP_FLAGS] = kind & PUSH ? TCP_ACK | TCP_PSH : TCP_ACK;
    flow->sequence += payload;
  }
  fill(u + header, payload, shape);
  return length;
}

struct batch make_batch(struct input *in) {
  static uint8_t made[LONGEST_BATCH + 65536 + 256];
  int32_t desc[MOST_PACKETS * WG_PACKET_STRIDE];
  struct flow flow = {0};
  uint32_t at = 0;
  int count = 0;
  for (; in->left && count < MOST_PACKETS && at < LONGEST_BATCH; count++) {
    uint8_t kind = (uint8_t)take(in, 1), *p = made + at;
    int32_t *d = desc + count * WG_PACKET_STRIDE;
    uint32_t length;
    if (kind & RAW) {
      length = (uint32_t)take(in, 1);
      for (uint32_t i = 0; i < length; i++) p[i] = (uint8_t)take(in, 1);
    } else {
      length = make_packet(in, kind, p, &flow);
      uint32_t place = kind & DAMAGED ? (uint32_t)take(in, 2) : 0, change = kind & DAMAGED ? (uint32_t)take(in, 1) : 0;
      uint32_t upper = kind & V6 ? IPV6_HEADER : IPV4_HEADER;
      p[place % length] ^= (uint8_t)change;
      if (!(kind & WRONG_SUM)) put_sums(p, length, upper, kind & IS_UDP);
    }
    d[WG_PACKET_OFFSET] = (int32_t)at;
    d[WG_PACKET_LENGTH] = (int32_t)length;
    if (kind & OUTSIDE) {
      int which = (int)take(in, 1) & 1;
      d[which] = (int32_t)take(in, 4);
    }
    at += length;
  }
  return (struct batch){copy_of(made, at), at, copy_of(desc, (size_t)count * WG_PACKET_STRIDE * sizeof *desc), count};
}

struct batch copy_batch(const struct batch *batch) {
  size_t size = (size_t)batch->count * WG_PACKET_STRIDE * sizeof *batch->desc;
  return (struct batch){copy_of(batch->slab, batch->length), batch->length, copy_of(batch->desc, size), batch->count};
}

void free_batch(struct batch *batch) {
  free(batch->slab);
  free(batch->desc);
}

const uint8_t *packet_of(const struct batch *batch, int i, uint32_t *length) {
  int64_t offset = batch->desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET], size = batch->desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH];
  *length = 0;
  if (offset < 0 || size <= 0 || offset + size > (int64_t)batch->length) return NULL;
  *length = (uint32_t)size;
  return batch->slab + offset;
}

/* Returns the offset of the TCP or UDP header; 0 if the packet has none, or another header before
 * it. */
static uint32_t upper_of(const uint8_t *packet, uint32_t length) {
  uint32_t upper = 0;
  if (length >= IPV4_HEADER && packet[0] == 0x45) upper = IPV4_HEADER;
  else if (length >= IPV6_HEADER && packet[0] >> 4 == 6) upper = IPV6_HEADER;
  if (!upper) return 0;
  uint8_t protocol = packet[upper == IPV4_HEADER ? IPV4_PROTOCOL : IPV6_NEXT_HEADER];
  uint32_t least = protocol == TCP ? TCP_HEADER : UDP_HEADER;
  return (protocol == TCP || protocol == UDP) && length >= upper + least ? upper : 0;
}

int sums_are_right(const uint8_t *packet, uint32_t length) {
  uint32_t upper = upper_of(packet, length);
  if (!upper) return 0;
  uint8_t protocol = packet[upper == IPV4_HEADER ? IPV4_PROTOCOL : IPV6_NEXT_HEADER];
  if (upper == IPV4_HEADER && plain_fold(plain_sum(0, packet, IPV4_HEADER)) != 0) return 0;
  if (upper == IPV4_HEADER && protocol == UDP && wg_be16(packet + upper + UDP_CHECKSUM) == 0) return 1;
  return plain_fold(plain_sum(plain_pseudo(packet, protocol, length - upper), packet + upper, length - upper)) == 0;
}

WG_UNCOUNTED int same_packet(const uint8_t *a, const uint8_t *b, uint32_t length) {
  uint32_t upper = upper_of(a, length);
  if (!upper || upper_of(b, length) != upper) return memcmp(a, b, length) == 0;
  int four = upper == IPV4_HEADER, udp = a[four ? IPV4_PROTOCOL : IPV6_NEXT_HEADER] == UDP;
  uint32_t field = upper + (udp ? UDP_CHECKSUM : TCP_CHECKSUM);
  /* UDP without a checksum may get one */
  int may_gain = four && udp && wg_be16(b + field) == 0 && sums_are_right(a, length);
  int no_id = four && wg_be16(a + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT;
  for (uint32_t i = 0; i < length; i++) {
    if (a[i] == b[i] || (no_id && (i == IPV4_ID || i == IPV4_ID + 1))) continue;
    if (four && (i == IPV4_CHECKSUM || i == IPV4_CHECKSUM + 1) && sums_are_right(a, length) && sums_are_right(b, length)) continue;
    if ((i == field || i == field + 1) && may_gain) continue;
    if ((i == field || i == field + 1) && wg_be16(a + field) % 0xffff == wg_be16(b + field) % 0xffff) continue;
    return 0;
  }
  return 1;
}

int same_flow(const uint8_t *a, uint32_t a_length, const uint8_t *b, uint32_t b_length) {
  uint32_t upper = upper_of(a, a_length);
  if (!upper || upper_of(b, b_length) != upper) return 0;
  int four = upper == IPV4_HEADER;
  uint32_t protocol = four ? IPV4_PROTOCOL : IPV6_NEXT_HEADER, source = four ? IPV4_SOURCE : IPV6_SOURCE;
  return a[protocol] == b[protocol] && memcmp(a + source, b + source, upper + 4 - source) == 0;
}
