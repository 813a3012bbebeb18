/* Fuzz target: receiving datagrams (native/udp-receive.c) from a kernel whose addresses and control
 * data the input chooses.
 *
 * Input: sockets (1 byte), ranges in the slab (1), room in the descriptors (1) and endpoints (1),
 * `most` (1); then for each message its shape (1), its length (2) and control data. */
#include "udp.h"
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

enum { MOST_RANGES = 160 };

static struct input kernel;
static uint8_t *slab;
static size_t slab_length;
static int calls, delivered, truncated;

/* Adds control data as a kernel does: known kinds have their size, others any size. */
static void add_control(struct msghdr *header, size_t room, uint8_t kind) {
  static const int kinds[][3] = {{SOL_UDP, UDP_GRO, sizeof(int)},
                                 {SOL_IP, IP_TOS, 1},
                                 {SOL_IPV6, IPV6_TCLASS, sizeof(int)},
                                 {SOL_IP, IP_PKTINFO, sizeof(struct in_pktinfo)},
                                 {SOL_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)}};
  const int *known = kinds[kind % 5];
  int is_other = (kind & 0xe0) == 0xe0;
  size_t size = is_other ? take(&kernel, 1) : (size_t)known[2];
  if (header->msg_controllen + CMSG_SPACE(size) > room) return;
  struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)header->msg_control + header->msg_controllen);
  c->cmsg_level = is_other ? (int)take(&kernel, 1) + 1000 : known[0];
  c->cmsg_type = is_other ? (int)take(&kernel, 1) : known[1];
  c->cmsg_len = CMSG_LEN(size);
  for (size_t i = 0; i < size; i++) CMSG_DATA(c)[i] = (uint8_t)take(&kernel, 1);
  header->msg_controllen += CMSG_SPACE(size);
}

static void deliver(int fd, struct mmsghdr *message) {
  struct msghdr *header = &message->msg_hdr;
  uint8_t shape = (uint8_t)take(&kernel, 1);
  size_t room = header->msg_controllen;
  union wg_sockaddr from = {.v4 = {.sin_family = AF_INET, .sin_port = shape}};
  must(header->msg_namelen >= sizeof from && room == WG_UDP_CONTROL && header->msg_iovlen == 1, "there is room for an address");
  must(header->msg_iov->iov_len == WG_UDP_RANGE, "there is room for every datagram");
  const uint8_t *to = header->msg_iov->iov_base;
  must(to >= slab && to + WG_UDP_RANGE <= slab + slab_length, "a datagram is received into the slab");
  message->msg_len = (unsigned)take(&kernel, 2);
  memset(header->msg_iov->iov_base, shape, message->msg_len);
  if (fd & 1) from.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = shape, .sin6_scope_id = shape};
  memcpy(header->msg_name, &from, sizeof from);
  header->msg_controllen = 0;
  header->msg_flags = shape & 0x80 ? MSG_TRUNC : 0;
  for (int i = 0; i < (shape & 3); i++) add_control(header, room, (uint8_t)take(&kernel, 1));
  if (shape & 0x80) truncated++;
  else delivered++;
}

/* The linker gives udp-receive.c this function in place of the C library's. */
int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit);
int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
  (void)flags, (void)limit;
  must(count > 0 && count <= WG_UDP_VECTOR, "a call has room");
  must(++calls < 1000, "interrupted calls end");
  uint32_t kind = kernel.left ? (uint32_t)take(&kernel, 1) : 0xff;
  if (kind >= 0xf0) {
    errno = kind == 0xf0 ? EINTR : EAGAIN;
    return -1;
  }
  unsigned some = kind % (count + 1);
  for (unsigned i = 0; i < some; i++) deliver(fd, &messages[i]);
  return (int)some;
}

static void check(const int32_t *d, const uint8_t *e) {
  int64_t offset = d[DATAGRAM_OFFSET], length = d[DATAGRAM_LENGTH];
  must(offset >= 0 && offset % WG_UDP_RANGE == 0 && length >= 0 && offset + length <= (int64_t)slab_length, "a datagram is in the slab");
  must(d[DATAGRAM_SEGMENT] >= 0 && (d[DATAGRAM_SEGMENT] < length || !d[DATAGRAM_SEGMENT]), "segments are shorter than what was joined");
  must(d[DATAGRAM_TOS] >= -1 && d[DATAGRAM_TOS] <= 255 && d[DATAGRAM_ERROR] == 0, "a traffic class has 8 bits");
  must(e[ENDPOINT_FAMILY] == 4 || e[ENDPOINT_FAMILY] == 6, "an endpoint has a family");
  must(e[ENDPOINT_HAS_LOCAL] <= 1, "an endpoint has a local address or not");
  /* the shape is both in the bytes and in the port */
  must(length == 0 || slab[offset] == e[ENDPOINT_PORT], "a datagram has its own endpoint");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int sockets = (int)take(&in, 1);
  size_t ranges = take(&in, 1) % MOST_RANGES, room = take(&in, 1), records = take(&in, 1);
  int most = (int)(int8_t)take(&in, 1) * 4;
  static uint8_t memory[MOST_RANGES * WG_UDP_RANGE];
  slab = memory;
  slab_length = ranges * WG_UDP_RANGE;
  int32_t *desc = exactly(room * DATAGRAM_STRIDE * sizeof *desc);
  uint8_t *endpoints = exactly(records * ENDPOINT_SIZE);
  struct wg_udp *udp = calloc(1, sizeof *udp);
  must(udp != NULL, "out of memory");
  memcpy(udp->fds, (int[]){sockets & 16 ? -1 : 10, sockets & 32 ? -1 : 11, 12, 13}, sizeof udp->fds);
  kernel = in;
  calls = delivered = truncated = 0;
  napi_value result = fuzz_call(wg_udp_receive, 6,
                                (napi_value[]){fuzz_handle(udp, &WG_UDP_KIND), fuzz_number(sockets & 15), fuzz_number(most),
                                               fuzz_bytes(slab, slab_length), fuzz_numbers(desc, room * DATAGRAM_STRIDE),
                                               fuzz_bytes(endpoints, records * ENDPOINT_SIZE)});
  int64_t count = fuzz_result(result);
  must(count == delivered && udp->truncated == (uint64_t)truncated, "every whole datagram has a descriptor");
  must(count <= (most < 0 ? 0 : most), "there are no more datagrams than wanted");
  for (int64_t i = 0; i < count; i++) check(desc + i * DATAGRAM_STRIDE, endpoints + i * ENDPOINT_SIZE);
  fuzz_end();
  free(udp);
  free(endpoints);
  free(desc);
  return 0;
}
