/* Fuzz target: writing packets to a TUN (native/tun-write.c) that accepts and refuses as the input
 * says. Every packet must arrive once, merged or alone, or be counted as dropped.
 *
 * Input: the device (1 byte), what is granted (1), refusals so far (1), number of answers (1), the
 * answers, what to do (1), then packets (packets.c), or numbers that say how they are grouped. */
#include "tun.h"
#include "node-api.h"
#include "packets.h"
#include <errno.h>
#include <sys/uio.h>

enum { WHOLE = WG_VNET_TUNNEL_SIZE + 65536 + 64, PI_SIZE = 4 };

static struct input answers;
static const struct wg_tun *device;
static int64_t arrived, is_gone;
static int is_grouped; /* by the input, which may make groups of any size */

/* Returns the number of packets in what was written. A vnet header must be one that splits. */
static int64_t count_packets(uint8_t *range, size_t length) {
  struct wg_split plan;
  if (!device->vnet || range[1] == WG_GSO_NONE) return 1;
  /* the header of a slab is the first part of that for the kernel */
  size_t more = (size_t)device->vnet - WG_VNET_HEADER_SIZE;
  memmove(range + more, range, WG_VNET_HEADER_SIZE);
  return wg_split_plan(&plan, range + more, length - more);
}

static int merge_bit(uint8_t type) {
  if (type & WG_GSO_UDP_TUNNEL_IPV4) return WG_MERGE_TUNNEL;
  return type == WG_GSO_TCPV4 ? WG_MERGE_TCP4 : type == WG_GSO_TCPV6 ? WG_MERGE_TCP6 : WG_MERGE_UDP;
}

/* The linker gives tun-write.c this function in place of the C library's. */
ssize_t __wrap_writev(int fd, const struct iovec *vectors, int count);
ssize_t __wrap_writev(int fd, const struct iovec *vectors, int count) {
  static const int errors[] = {EINTR, EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, EAGAIN, ENOBUFS, EBADFD};
  static uint8_t whole[WHOLE + PI_SIZE];
  size_t length = 0, info = device->info ? PI_SIZE : 0;
  must(fd == device->fd && count > 0, "a write is for the device");
  for (int i = 0; i < count; i++) {
    if (length + vectors[i].iov_len > sizeof whole) {
      /* a single packet of any size is left to the kernel */
      must(is_grouped || count - !!info <= 2, "no merged packet is larger than a packet can be");
      errno = EMSGSIZE;
      return -1;
    }
    memcpy(whole + length, vectors[i].iov_base, vectors[i].iov_len);
    length += vectors[i].iov_len;
  }
  must(length >= info + (size_t)device->vnet, "a packet has its headers");
  uint32_t kind = (uint32_t)take(&answers, 1);
  if (kind & 0x80) {
    errno = errors[kind % 8];
    if (errno == EBADFD) is_gone = 1;
    return -1;
  }
  int paused = device->vnet && device->pausing & merge_bit(whole[info + 1]);
  int64_t packets = count_packets(whole + info, length - info);
  must(packets <= 1 || !paused, "nothing is merged while merging pauses");
  arrived += packets;
  return (ssize_t)length;
}

/* Writes groups that the input forms: most are refused, none may read outside of the slab. */
static void write_groups(struct wg_tun *tun, struct input *in, struct batch *batch) {
  size_t made = take(in, 1) % 8, count = (size_t)batch->count;
  int32_t *given = exactly(made * WG_GROUP_STRIDE * sizeof *given), *follow = exactly(count * sizeof *follow);
  for (size_t i = 0; i < count; i++) follow[i] = (int8_t)take(in, 1);
  for (size_t i = 0; i < made * WG_GROUP_STRIDE; i++) given[i] = (int16_t)take(in, 2);
  napi_value result = fuzz_call(wg_tun_write_groups, 7,
                                (napi_value[]){fuzz_handle(tun, &WG_TUN_KIND), fuzz_bytes(batch->slab, batch->length),
                                               fuzz_numbers(batch->desc, count * WG_PACKET_STRIDE), fuzz_number((int64_t)count),
                                               fuzz_numbers(given, made * WG_GROUP_STRIDE), fuzz_numbers(follow, count),
                                               fuzz_number((int64_t)made)});
  int64_t dropped = fuzz_result(result);
  must(!result || (dropped == -1 && is_gone) || (dropped >= 0 && dropped <= (int64_t)count), "the result counts dropped packets");
  free(follow);
  free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int what = (int)take(&in, 1);
  struct wg_tun tun = {.fd = 10, .offloads = (int32_t)take(&in, 1), .info = what >> 1 & 1, .overlay = {4789, 0x0a000002}};
  if (what & 1) tun.vnet = tun.offloads & WG_TUN_UDPTNL ? WG_VNET_TUNNEL_SIZE : WG_VNET_HEADER_SIZE;
  for (int k = 0, before = (int)take(&in, 1) % WG_TUN_REFUSALS; k < WG_TUN_KINDS; k++) tun.refusals[k] = before;
  size_t length = take(&in, 1);
  answers = (struct input){in.at, length < in.left ? length : in.left};
  in.at += answers.left;
  in.left -= answers.left;
  device = &tun;
  arrived = is_gone = 0;
  if (!tun.vnet) tun.offloads = 0; /* as tun.c opens it */
  struct input numbers = in;
  is_grouped = (int)take(&in, 1) & 1;
  struct batch batch = make_batch(&in);
  if (is_grouped) {
    write_groups(&tun, &numbers, &batch);
  } else {
    napi_value result = fuzz_call(wg_tun_write, 4,
                                  (napi_value[]){fuzz_handle(&tun, &WG_TUN_KIND), fuzz_bytes(batch.slab, batch.length),
                                                 fuzz_numbers(batch.desc, (size_t)batch.count * WG_PACKET_STRIDE),
                                                 fuzz_number(batch.count + (what >> 2))});
    int64_t dropped = fuzz_result(result);
    must(dropped == -1 ? is_gone : arrived + dropped == batch.count, "a packet arrives once, or is counted as dropped");
    must(is_gone || tun.refused == (uint64_t)dropped, "the counter has every dropped packet");
  }
  fuzz_end();
  free_batch(&batch);
  return 0;
}
