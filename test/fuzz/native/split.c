/* Fuzz target: splits a range as if the kernel had written it to the TUN (native/offload.c), and
 * compares every segment with a simple reference.
 *
 * Input: the MTU (4 bytes), bytes to append to the packet (2), what to repair (1), then the range:
 * a vnet header and a packet. */
#include "offload.h"
#include "input.h"
#include "ip.h"

/* REPAIR_LENGTH writes the IP header's length; REPAIR_SUM makes the kernel's partial checksum. */
enum { REPAIR_LENGTH = 1, REPAIR_SUM = 2 };

static void repair(uint8_t *range, size_t length, int what) {
  uint8_t *p = range + WG_VNET_HEADER_SIZE;
  uint32_t size = (uint32_t)(length - WG_VNET_HEADER_SIZE);
  int six = p[0] >> 4 == 6;
  uint32_t upper = six ? IPV6_HEADER : (p[0] & 15u) * 4;
  if (what & REPAIR_LENGTH) wg_put_be16(p + (six ? IPV6_PAYLOAD_LENGTH : IPV4_TOTAL_LENGTH), six ? size - IPV6_HEADER : size);
  int tcp = (range[1] & ~WG_GSO_ECN) != WG_GSO_UDP_L4;
  uint32_t offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  if (!(what & REPAIR_SUM) || upper + offset + 2 > size) return;
  range[0] = WG_VNET_F_NEEDS_CSUM;
  wg_put_le16(range + 6, upper);
  wg_put_le16(range + 8, offset);
  wg_put_be16(p + upper + offset, plain_fold(plain_pseudo(p, tcp ? TCP : UDP, size - upper)));
}

WG_UNCOUNTED static void check_whole(const struct wg_split *plan, const uint8_t *out) {
  must(plan->count == 1, "a packet that is not split has one segment");
  for (uint32_t i = 0; i < plan->length; i++) {
    if (plan->action == WG_SPLIT_CHECKSUM && (i == plan->field || i == plan->field + 1)) continue;
    must(out[i] == plan->packet[i], "only the checksum changes");
  }
  if (plan->action != WG_SPLIT_CHECKSUM) return;
  uint32_t sum = plain_fold(plain_sum(0, plan->packet + plan->upper, plan->length - plan->upper));
  uint16_t word = wg_be16(out + plan->field);
  must(word != 0 && (word + sum) % 0xffff == 0, "the checksum is completed");
}

/* Reports whether the checksum of the segments can be known: unless the kernel gave a partial sum
 * that is wrong, or there is a routing header, whose last address is the destination. */
static int sum_is_known(const struct wg_split *plan, const uint8_t *vnet, uint8_t protocol) {
  if (plan->version == 6 && plan->upper > IPV6_HEADER) return 0;
  if (!(vnet[0] & WG_VNET_F_NEEDS_CSUM)) return 1;
  return wg_be16(plan->packet + plan->field) % 0xffff ==
         plain_fold(plain_pseudo(plan->packet, protocol, plan->length - plan->upper));
}

static int may_change(const struct wg_split *plan, uint32_t at) {
  if (at >= plan->field && at < plan->field + 2) return 1;
  if (plan->version == 6 && (at == IPV6_PAYLOAD_LENGTH || at == IPV6_PAYLOAD_LENGTH + 1)) return 1;
  if (plan->version == 4 && ((at >= IPV4_TOTAL_LENGTH && at < IPV4_ID + 2) || at == IPV4_CHECKSUM || at == IPV4_CHECKSUM + 1)) return 1;
  if (at < plan->upper) return 0;
  at -= plan->upper;
  return plan->action == WG_SPLIT_TCP ? (at >= TCP_SEQUENCE && at < TCP_SEQUENCE + 4) || at == TCP_FLAGS
                                      : at == UDP_LENGTH || at == UDP_LENGTH + 1;
}

static void check_segment(const struct wg_split *plan, const uint8_t *vnet, uint32_t index, const uint8_t *out, uint32_t length) {
  const uint8_t *p = plan->packet;
  uint32_t upper = plan->upper, at = plan->headers + index * plan->unit;
  uint8_t protocol = plan->action == WG_SPLIT_TCP ? TCP : UDP;
  must(memcmp(out + plan->headers, p + at, length - plan->headers) == 0, "a segment has its part of the payload");
  for (uint32_t i = 0; i < plan->headers; i++) must(out[i] == p[i] || may_change(plan, i), "other header fields stay");
  if (plan->version == 4) {
    must(wg_be16(out + IPV4_TOTAL_LENGTH) == length, "the total length is right");
    must(wg_be16(out + IPV4_ID) == (uint16_t)(wg_be16(p + IPV4_ID) + index), "the identification counts");
    must(plain_fold(plain_sum(0, out, upper)) == 0, "the checksum of the IPv4 header is right");
  } else {
    must(wg_be16(out + IPV6_PAYLOAD_LENGTH) == length - IPV6_HEADER, "the payload length is right");
  }
  if (protocol == TCP) {
    uint8_t last = index + 1 == plan->count ? 0xff : (uint8_t) ~(TCP_FIN | TCP_PSH), first = index == 0 ? 0xff : (uint8_t)~TCP_CWR;
    must(wg_be32(out + upper + TCP_SEQUENCE) == wg_be32(p + upper + TCP_SEQUENCE) + index * plan->unit, "the sequence number is right");
    must(out[upper + TCP_FLAGS] == (p[upper + TCP_FLAGS] & last & first), "FIN and PSH are on the last segment, CWR on the first");
  } else {
    must(wg_be16(out + upper + UDP_LENGTH) == length - upper, "the UDP length is right");
    must(wg_be16(out + plan->field) != 0, "a UDP checksum of 0 would mean that it was not computed");
  }
  if (!sum_is_known(plan, vnet, protocol)) return;
  uint64_t sum = plain_sum(plain_pseudo(out, protocol, length - upper), out + upper, length - upper);
  must(plain_fold(sum) == 0, "the checksum is right");
}

static void check_plan(const struct wg_split *plan, const uint8_t *vnet, int32_t mtu) {
  uint64_t bytes = 0, payload = 0;
  uint32_t largest = 0;
  for (uint32_t i = 0; i < plan->count; i++) {
    uint32_t length = wg_split_length(plan, i), padded = wg_padded_length(length, mtu);
    must(length > 0 && length <= plan->length, "no segment is longer than the packet");
    must(padded >= length && padded - length < 16, "the padding is at most 15 bytes");
    must(mtu <= 0 || length > (uint32_t)mtu || padded <= (uint32_t)mtu, "the padding stays within the MTU");
    uint8_t *out = exactly(length);
    must(wg_split_write(plan, i, out) == length, "a segment has the length that was planned");
    if (plan->action < WG_SPLIT_TCP) check_whole(plan, out);
    else check_segment(plan, vnet, i, out, length);
    free(out);
    payload += length - plan->headers;
    bytes += 32 + padded;
    if (32 + padded > largest) largest = 32 + padded;
  }
  must(plan->action < WG_SPLIT_TCP || payload == plan->length - plan->headers, "the segments have the whole payload");
  must(bytes == wg_sealed_size(plan, mtu), "the messages have the size that was planned");
  must(largest == wg_message_size(plan, mtu), "the first message is the largest");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int32_t mtu = (int32_t)take(&in, 4);
  size_t more = take(&in, 2), what = take(&in, 1), length = in.left + more;
  uint8_t *range = exactly(length);
  if (in.left) memcpy(range, in.at, in.left);
  fill(range + in.left, more, 0);
  if (length >= WG_VNET_HEADER_SIZE + IPV6_HEADER) repair(range, length, (int)what);
  struct wg_split plan;
  memset(&plan, 0xa5, sizeof plan);
  uint32_t count = wg_split_plan(&plan, range, length);
  must(count == plan.count && count <= WG_MAX_SEGMENTS, "the number of segments is bounded");
  if (count) check_plan(&plan, range, mtu);
  else must(wg_sealed_size(&plan, mtu) == 0 && wg_message_size(&plan, mtu) == 0, "a malformed packet has no messages");
  free(range);
  return 0;
}
