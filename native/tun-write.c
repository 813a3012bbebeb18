/* Writes to a TUN device. Merges packets of one flow; a vnet header describes the merged packet
 * (offload.h). If the kernel refuses a merged packet, it is split again, so that no packet is
 * lost. */
#define _GNU_SOURCE
#include "tun.h"
#include "bytes.h"
#include "lanes.h"
#include "offload.h"
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* BATCH: packets per merge. More packets are processed in parts of BATCH. */
enum { BATCH = 1024, VECTORS = 2 + WG_MAX_MERGED, PI_SIZE = 4 };
_Static_assert(VECTORS <= IOV_MAX, "a group is written at once");

/* Working memory; each worker thread that loads the addon has its own. */
static _Thread_local int32_t groups[BATCH * WG_GROUP_STRIDE], next[BATCH];
static _Thread_local uint8_t whole[WG_VNET_HEADER_SIZE + 65536 + 64], segment[WG_VNET_TUNNEL_SIZE + 65536];

static int32_t merge_allowed(const struct wg_tun *tun) {
  int32_t allowed = 0;
  if (tun->offloads & WG_TUN_TSO4) allowed |= WG_MERGE_TCP4;
  if (tun->offloads & WG_TUN_TSO6) allowed |= WG_MERGE_TCP6;
  if (tun->offloads & WG_TUN_USO && !(tun->offloads & WG_TUN_SINGLE_UDP)) allowed |= WG_MERGE_UDP;
  if (tun->offloads & WG_TUN_UDPTNL && tun->overlay.port) allowed |= WG_MERGE_TUNNEL;
  return allowed & ~tun->pausing;
}

static const int32_t merges[WG_TUN_KINDS] = {WG_MERGE_TCP4, WG_MERGE_TCP6, WG_MERGE_UDP, WG_MERGE_TUNNEL};

static int kind_of(const int32_t *group) {
  if (group[WG_GROUP_GSO_TYPE] & WG_GSO_UDP_TUNNEL_IPV4) return 3;
  if (group[WG_GROUP_GSO_TYPE] == WG_GSO_UDP_L4) return 2;
  return group[WG_GROUP_GSO_TYPE] == WG_GSO_TCPV6;
}

/* Counts a merged packet that the kernel refused although it accepted the parts. After
 * WG_TUN_REFUSALS such packets, merging of that kind pauses. */
static void count_refusal(struct wg_tun *tun, const int32_t *group) {
  int kind = kind_of(group);
  if (++tun->refusals[kind] < WG_TUN_REFUSALS || tun->pausing & merges[kind]) return;
  tun->pausing |= merges[kind];
  tun->paused++;
}

/* Writes one packet. Returns 0 or an errno. vectors[0] holds the vnet header with zeros up to
 * WG_VNET_TUNNEL_SIZE; its length becomes that of the device's headers. */
static int put(struct wg_tun *tun, struct iovec *vectors, int count) {
  uint8_t pi[PI_SIZE] = {0};
  struct iovec with_info[VECTORS];
  vectors[0].iov_len = (size_t)tun->vnet;
  if (!tun->vnet) {
    vectors++;
    count--;
  }
  if (tun->info) {
    int version = *(const uint8_t *)vectors[tun->vnet != 0].iov_base >> 4;
    wg_put_be16(pi + 2, version == 6 ? ETH_P_IPV6 : ETH_P_IP);
    with_info[0] = (struct iovec){pi, sizeof pi};
    memcpy(with_info + 1, vectors, (size_t)count * sizeof *vectors);
    vectors = with_info;
    count++;
  }
  ssize_t done;
  do done = writev(tun->fd, vectors, count);
  while (done < 0 && errno == EINTR);
  return done < 0 ? errno : 0;
}

/* Reports whether the device is gone or closed. Any other errno concerns only one packet. */
static int is_gone(int err) { return err == EBADFD || err == EBADF || err == ENODEV; }

/* Splits a merged packet with the code that also splits super-packets read from the kernel, and
 * writes the parts. Returns 0 or the errno of the last refusal. */
static int put_apart(struct wg_tun *tun, const struct iovec *vectors, int count, int packets, int64_t *dropped) {
  size_t length = WG_VNET_HEADER_SIZE;
  memcpy(whole, vectors[0].iov_base, length);
  for (int i = 1; i < count; i++) {
    if (length + vectors[i].iov_len > sizeof whole) {
      *dropped += packets;
      return EMSGSIZE;
    }
    memcpy(whole + length, vectors[i].iov_base, vectors[i].iov_len);
    length += vectors[i].iov_len;
  }
  struct wg_split plan;
  if (!wg_split_plan(&plan, whole, length)) {
    *dropped += packets;
    return EINVAL;
  }
  int last = 0;
  memset(segment, 0, WG_VNET_TUNNEL_SIZE);
  for (uint32_t i = 0; i < plan.count; i++) {
    if (wg_split_length(&plan, i) > sizeof segment - WG_VNET_TUNNEL_SIZE) {
      last = EMSGSIZE;
      ++*dropped;
      continue;
    }
    uint8_t *packet = segment + WG_VNET_TUNNEL_SIZE;
    struct iovec one[2] = {{segment, 0}, {packet, wg_split_write(&plan, i, packet)}};
    int err = put(tun, one, 2);
    if (!err) continue;
    last = err;
    ++*dropped;
  }
  return last;
}

static int refused(const struct wg_tun *tun, int merged) {
  return merged && tun->fail_count > 0 && tun->fail_what == WG_TUN_FAIL_MERGED ? tun->fail_errno : 0;
}

/* Writes one group and adds the number of refused packets to *dropped. Returns 0, or an errno if
 * the device is gone. */
static int put_group(struct wg_tun *tun, const uint8_t *slab, const int32_t *desc, const int32_t *group, const int32_t *follow, int64_t *dropped) {
  uint8_t vnet[WG_VNET_TUNNEL_SIZE];
  struct iovec vectors[VECTORS];
  int count = 0, merged = group[WG_GROUP_COUNT] > 1;
  size_t skip = 0;
  wg_group_header(group, vnet);
  vectors[count++] = (struct iovec){vnet, 0};
  for (int32_t i = group[WG_GROUP_FIRST]; i >= 0 && count < VECTORS - 1; i = follow[i]) {
    const int32_t *d = desc + (size_t)i * WG_PACKET_STRIDE;
    vectors[count++] = (struct iovec){(void *)(slab + d[WG_PACKET_OFFSET] + skip), (size_t)d[WG_PACKET_LENGTH] - skip};
    skip = (size_t)group[WG_GROUP_HEADERS];
  }
  /* packet/coalesce.ts forms groups without checking the pause, so check it here */
  int err = merged && tun->pausing & merges[kind_of(group)] ? EOPNOTSUPP : 0;
  if (!err) {
    err = refused(tun, merged);
    if (err) tun->fail_count--;
    else err = put(tun, vectors, count);
  }
  if (!err) {
    if (!merged) return 0;
    tun->merged += (uint64_t)group[WG_GROUP_COUNT];
    tun->refusals[kind_of(group)] = 0;
    return 0;
  }
  if (is_gone(err)) return err;
  if (!merged) {
    ++*dropped;
    return 0;
  }
  tun->unmerged += (uint64_t)group[WG_GROUP_COUNT];
  int64_t before = *dropped;
  err = put_apart(tun, vectors, count, group[WG_GROUP_COUNT], dropped);
  if (*dropped - before < group[WG_GROUP_COUNT]) count_refusal(tun, group);
  return is_gone(err) ? err : 0;
}

static int64_t put_all(struct wg_tun *tun, const uint8_t *slab, const int32_t *desc, int packets, const int32_t *from, int count, const int32_t *follow) {
  int64_t dropped = 0, written = 0;
  for (int g = 0; g < count; g++) {
    const int32_t *group = from + (size_t)g * WG_GROUP_STRIDE;
    if (put_group(tun, slab, desc, group, follow, &dropped)) return -1;
    written += group[WG_GROUP_COUNT];
  }
  dropped += packets - written; /* including packets in no group: their descriptors lie outside the slab */
  tun->refused += (uint64_t)dropped;
  return dropped;
}

int64_t wg_tun_write_all(struct wg_tun *tun, uint8_t *slab, size_t length, const int32_t *desc, int32_t count) {
  if (tun->fd < 0) return -1;
  int64_t dropped = 0;
  for (int32_t from = 0; from < count; from += BATCH) {
    const int32_t *part = desc + (size_t)from * WG_PACKET_STRIDE;
    int32_t packets = count - from < BATCH ? count - from : BATCH;
    int made = wg_merge(slab, length, part, packets, merge_allowed(tun), &tun->overlay, groups, next);
    int64_t lost = put_all(tun, slab, part, packets, groups, made, next);
    if (lost < 0) return lost;
    dropped += lost;
  }
  return dropped;
}

/* tunWrite(handle, slab, desc, count): merges and writes packets. Returns the number of dropped
 * packets, or -1 if the device is gone. May change the slab. */
napi_value wg_tun_write(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_tun *tun;
  struct wg_array slab, desc;
  int32_t count;
  if (!wg_arguments(env, info, arguments, 4) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &slab) || !wg_array(env, arguments[2], napi_int32_array, &desc) ||
      !wg_int(env, arguments[3], &count))
    return NULL;
  int32_t fit = (int32_t)(desc.length / WG_PACKET_STRIDE);
  wg_lanes_settle(tun->lanes);
  return wg_number(env, wg_tun_write_all(tun, slab.data, slab.length, desc.data, count > fit ? fit : count));
}

/* Checks a group that JavaScript made: each packet must lie in the slab and occur at most once, and
 * the headers must be shorter than the packets. */
static int is_sound(struct wg_array slab, const int32_t *desc, int32_t count, const int32_t *group, const int32_t *follow, int32_t *seen, int32_t mark) {
  int32_t members = 0, skip = group[WG_GROUP_HEADERS];
  for (int32_t i = group[WG_GROUP_FIRST]; i >= 0; i = follow[i]) {
    if (i >= count || seen[i] == mark || ++members > WG_MAX_MERGED) return 0;
    seen[i] = mark;
    const int32_t *d = desc + (size_t)i * WG_PACKET_STRIDE;
    if (d[WG_PACKET_OFFSET] < 0 || d[WG_PACKET_LENGTH] <= 0 || skip < 0 || skip >= d[WG_PACKET_LENGTH] ||
        (size_t)d[WG_PACKET_OFFSET] + (size_t)d[WG_PACKET_LENGTH] > slab.length)
      return 0;
  }
  return members == group[WG_GROUP_COUNT] && members > 0;
}

/* tunWriteGroups(handle, slab, desc, count, groups, next, made): writes the groups that
 * packet/coalesce.ts formed. Returns the same as tunWrite. */
napi_value wg_tun_write_groups(napi_env env, napi_callback_info info) {
  napi_value arguments[7];
  struct wg_tun *tun;
  struct wg_array slab, desc, given, follow;
  int32_t count, made;
  if (!wg_arguments(env, info, arguments, 7) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &slab) || !wg_array(env, arguments[2], napi_int32_array, &desc) ||
      !wg_int(env, arguments[3], &count) || !wg_array(env, arguments[4], napi_int32_array, &given) ||
      !wg_array(env, arguments[5], napi_int32_array, &follow) || !wg_int(env, arguments[6], &made))
    return NULL;
  wg_lanes_settle(tun->lanes);
  if (tun->fd < 0) return wg_number(env, -1);
  if (count < 0 || count > BATCH || (size_t)count * WG_PACKET_STRIDE > desc.length || (size_t)count > follow.length || made < 0 ||
      made > count || (size_t)made * WG_GROUP_STRIDE > given.length)
    return wg_throw_type(env, "groups do not fit their arrays");
  memset(next, 0, (size_t)count * sizeof *next);
  for (int32_t g = 0; g < made; g++)
    if (!is_sound(slab, desc.data, count, (const int32_t *)given.data + (size_t)g * WG_GROUP_STRIDE, follow.data, next, 1))
      return wg_throw_type(env, "a group is not sound");
  return wg_number(env, put_all(tun, slab.data, desc.data, count, given.data, made, follow.data));
}
