/* Fuzz target: merges a batch (native/coalesce.c), then splits the groups again as the kernel does
 * (native/offload.c). Every packet must come back once, unchanged and in the order of its flow.
 *
 * Input: which kinds may be merged (1 byte), then packets (packets.c). */
#include "packets.h"

struct merged {
  struct batch before, after;
  int32_t *groups, *next;
  int count;
  int *seen; /* the packets of the groups that were checked */
};

static void must_be_alone(const struct merged *m, const int32_t *group) {
  uint32_t length;
  const uint8_t *before = packet_of(&m->before, group[WG_GROUP_FIRST], &length);
  must(before != NULL, "a refused packet is in no group");
  must(group[WG_GROUP_LENGTH] == (int32_t)length && group[WG_GROUP_HEADERS] == 0, "a single packet is written as it is");
  must(group[WG_GROUP_GSO_TYPE] == WG_GSO_NONE, "a single packet has no vnet header");
}

/* Splits a merged packet and compares the parts with the packets that went in. */
static void check_parts(const struct merged *m, const int32_t *group, const uint8_t *range) {
  struct wg_split plan;
  uint32_t count = wg_split_plan(&plan, range, WG_VNET_HEADER_SIZE + (size_t)group[WG_GROUP_LENGTH]);
  must(count == (uint32_t)group[WG_GROUP_COUNT], "a group comes apart as its packets");
  int i = group[WG_GROUP_FIRST];
  for (uint32_t part = 0; part < count; part++, i = m->next[i]) {
    uint32_t length, size = wg_split_length(&plan, part);
    const uint8_t *before = packet_of(&m->before, i, &length);
    must(before && size == length, "a part has its packet's length");
    must(sums_are_right(before, length), "a packet with a wrong checksum is not merged");
    uint8_t *out = exactly(size);
    wg_split_write(&plan, part, out);
    must(same_packet(out, before, length), "a part equals its packet");
    must(sums_are_right(out, size), "a part has right checksums");
    free(out);
  }
}

static void check_group(struct merged *m, const int32_t *group, int allowed) {
  size_t length = WG_VNET_HEADER_SIZE, skip = 0, whole = WG_VNET_HEADER_SIZE + (size_t)group[WG_GROUP_LENGTH];
  uint8_t *range = exactly(whole);
  int members = 0, last = -1;
  uint8_t vnet[WG_VNET_TUNNEL_SIZE];
  wg_group_header(group, vnet);
  memcpy(range, vnet, WG_VNET_HEADER_SIZE);
  for (int i = group[WG_GROUP_FIRST]; i >= 0; last = i, i = m->next[i]) {
    uint32_t size;
    must(i < m->before.count && i > last && !m->seen[i], "a packet is in one group, in order");
    m->seen[i] = 1;
    const uint8_t *packet = packet_of(&m->after, i, &size);
    must(packet && size > skip && length + size - skip <= whole, "a group has the length that it says");
    memcpy(range + length, packet + skip, size - skip);
    length += size - skip;
    skip = (size_t)group[WG_GROUP_HEADERS];
    members++;
  }
  must(members == group[WG_GROUP_COUNT] && members <= WG_MAX_MERGED && length == whole, "a group is what it says");
  if (members == 1) {
    must_be_alone(m, group);
  } else {
    int type = group[WG_GROUP_GSO_TYPE];
    int bit = type == WG_GSO_TCPV4 ? WG_MERGE_TCP4 : type == WG_GSO_TCPV6 ? WG_MERGE_TCP6 : WG_MERGE_UDP;
    must(allowed & bit && whole <= WG_VNET_HEADER_SIZE + LARGEST, "only what is allowed is merged");
    check_parts(m, group, range);
  }
  free(range);
}

/* In the order of writing, the packets of each flow must be in the order of the batch. */
static void check_order(const struct merged *m) {
  int order[MOST_PACKETS], count = 0;
  for (int g = 0; g < m->count; g++)
    for (int i = m->groups[g * WG_GROUP_STRIDE + WG_GROUP_FIRST]; i >= 0; i = m->next[i]) order[count++] = i;
  for (int a = 0; a < count; a++)
    for (int b = a + 1; b < count; b++) {
      if (order[a] < order[b]) continue;
      uint32_t first, second;
      const uint8_t *early = packet_of(&m->before, order[a], &first), *late = packet_of(&m->before, order[b], &second);
      must(!same_flow(early, first, late, second), "packets of a flow keep their order");
    }
}

/* Only the headers of the first packet of a merged group may change. */
WG_UNCOUNTED static void check_unchanged(const struct merged *m) {
  uint8_t *may = calloc(m->before.length + 1, 1);
  must(may != NULL, "out of memory");
  for (int g = 0; g < m->count; g++) {
    const int32_t *group = m->groups + g * WG_GROUP_STRIDE;
    if (group[WG_GROUP_COUNT] < 2) continue;
    memset(may + m->before.desc[group[WG_GROUP_FIRST] * WG_PACKET_STRIDE + WG_PACKET_OFFSET], 1, (size_t)group[WG_GROUP_HEADERS]);
  }
  for (size_t i = 0; i < m->before.length; i++) must(may[i] || m->before.slab[i] == m->after.slab[i], "payloads do not change");
  free(may);
}

/* Reports whether two packets share bytes: then a change of one is a change of the other. */
static int overlap(const struct batch *batch) {
  for (int a = 0; a < batch->count; a++)
    for (int b = 0; b < a; b++) {
      uint32_t first, second;
      const uint8_t *p = packet_of(batch, a, &first), *q = packet_of(batch, b, &second);
      if (p && q && p < q + second && q < p + first) return 1;
    }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int allowed = (int)take(&in, 1);
  struct merged m = {.before = make_batch(&in)};
  size_t count = (size_t)m.before.count;
  m.after = copy_batch(&m.before);
  m.groups = exactly(count * WG_GROUP_STRIDE * sizeof *m.groups);
  m.next = exactly(count * sizeof *m.next);
  m.seen = calloc(count + 1, sizeof *m.seen);
  must(m.seen != NULL, "out of memory");
  m.count = wg_merge(m.after.slab, m.after.length, m.after.desc, m.after.count, allowed, NULL, m.groups, m.next);
  must(m.count >= 0 && m.count <= m.before.count, "there are no more groups than packets");
  int apart = !overlap(&m.before);
  for (int g = 0; apart && g < m.count; g++) check_group(&m, m.groups + g * WG_GROUP_STRIDE, allowed);
  for (int i = 0; apart && i < m.before.count; i++) {
    uint32_t length;
    must(m.seen[i] == (packet_of(&m.before, i, &length) != NULL), "every packet inside the slab is in a group");
    must(m.seen[i] || m.next[i] == WG_NEXT_REFUSED, "every other packet is refused");
  }
  if (apart) check_order(&m);
  if (apart) check_unchanged(&m);
  free(m.seen);
  free(m.next);
  free(m.groups);
  free_batch(&m.after);
  free_batch(&m.before);
  return 0;
}
