/* Fuzz target: sending datagrams (native/udp-send.c) to a kernel that accepts, refuses and
 * interrupts as the input says. Every datagram must be sent once, in order, or its descriptor has
 * an error.
 *
 * Input: number of descriptors (1 byte), offloads (1), then for each its shape (1), endpoint (1),
 * offset (1), length (2) and segment size (2); then what the kernel does with each call. */
#include "udp.h"
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>

enum { MOST = 96, SLAB = 1 << 16, MOST_SENT = 1 << 16, SKIP = 16 };

static struct input kernel;
static const uint8_t *slab;
/* The datagrams that were sent: whose they are, where each begins in the slab, and its length. */
static struct {
  int32_t owner, offset, length;
} sent[MOST_SENT];
static int sent_count, has_failed;

/* ---- a kernel ---- */

/* Returns the errno for the next call; mostly 0, and 0 after the end of the input. */
static int next_errno(void) {
  static const int errors[] = {EINTR, EAGAIN, EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, ENETUNREACH, EADDRNOTAVAIL, ENOBUFS, EPERM};
  uint32_t kind = (uint32_t)take(&kernel, 1);
  return kind & 0x80 ? errors[kind % (sizeof errors / sizeof *errors)] : 0;
}

static void check_control(const struct msghdr *header, int six, size_t *segment) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR((struct msghdr *)header, c)) {
    size_t size = c->cmsg_len - CMSG_LEN(0);
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
      uint16_t number;
      must(size == sizeof number, "a segment size has two bytes");
      memcpy(&number, CMSG_DATA(c), sizeof number);
      *segment = number;
    } else if (c->cmsg_level == SOL_IP) {
      must(!six && size == (c->cmsg_type == IP_PKTINFO ? sizeof(struct in_pktinfo) : sizeof(int)), "control data of IPv4");
    } else {
      must(six && c->cmsg_level == SOL_IPV6, "control data of IPv6");
      must(size == (c->cmsg_type == IPV6_PKTINFO ? sizeof(struct in6_pktinfo) : sizeof(int)), "control data of IPv6");
    }
  }
}

/* Takes one message as the kernel does. */
static void accept_message(int fd, const struct msghdr *header) {
  const union wg_sockaddr *to = header->msg_name;
  const struct iovec *part = header->msg_iov;
  int six = to->any.sa_family == AF_INET6;
  size_t segment = 0;
  must(fd == 10 + six && header->msg_namelen == (six ? sizeof to->v6 : sizeof to->v4), "the socket has the address's family");
  must(header->msg_iovlen == 1 && header->msg_controllen <= WG_UDP_CONTROL, "a message is one range with control data");
  check_control(header, six, &segment);
  must(!segment || (segment < part->iov_len && part->iov_len <= 65507), "segments are shorter than the message");
  if (!segment) segment = part->iov_len ? part->iov_len : 1;
  must((part->iov_len + segment - 1) / segment <= 64, "a message has at most 64 segments");
  for (size_t at = 0; at < part->iov_len || at == 0; at += segment) {
    size_t length = part->iov_len - at < segment ? part->iov_len - at : segment;
    must(sent_count < MOST_SENT, "too many datagrams");
    sent[sent_count].owner = ntohs(six ? to->v6.sin6_port : to->v4.sin_port);
    sent[sent_count].offset = (int32_t)((const uint8_t *)part->iov_base + at - slab);
    sent[sent_count++].length = (int32_t)length;
  }
}

static int fail(int err) {
  errno = err;
  if (err != EINTR) has_failed = 1; /* after EAGAIN the call waits, but not for ever */
  return -1;
}

/* The linker gives udp-send.c these functions in place of the C library's. */
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int limit);

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  (void)flags;
  int err = next_errno();
  must(count > 0 && count <= WG_UDP_VECTOR, "a call has messages");
  if (err) return fail(err);
  unsigned some = 1 + (unsigned)(kernel.left ? take(&kernel, 1) : count - 1) % count;
  for (unsigned i = 0; i < some; i++) accept_message(fd, &messages[i].msg_hdr);
  return (int)some;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags) {
  (void)flags;
  int err = next_errno();
  if (err) return fail(err);
  accept_message(fd, header);
  return (ssize_t)header->msg_iov->iov_len;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int limit) {
  (void)fds, (void)count, (void)limit;
  return (int)take(&kernel, 1) & 1;
}

/* ---- the target ---- */

static int is_sound(const int32_t *d, const uint8_t *endpoint, const struct wg_udp *udp) {
  int64_t offset = d[DATAGRAM_OFFSET], length = d[DATAGRAM_LENGTH], segment = d[DATAGRAM_SEGMENT];
  int family = endpoint[ENDPOINT_FAMILY];
  return offset >= 0 && length >= 0 && offset + length <= SLAB && segment >= 0 && segment <= 65527 && (family == 4 || family == 6) &&
         udp->fds[family == 6] >= 0;
}

/* Compares what was sent with what the descriptors say. A descriptor with an error may lack
 * datagrams, but has none twice. */
static void check_sent(const int32_t *before, const int32_t *after, const uint8_t *endpoints, int count, const struct wg_udp *udp) {
  int at = 0;
  for (int i = 0; i < count; i++) {
    const int32_t *d = before + (size_t)i * DATAGRAM_STRIDE;
    int error = after[i * DATAGRAM_STRIDE + DATAGRAM_ERROR];
    if (!is_sound(d, endpoints + (size_t)i * ENDPOINT_SIZE, udp)) {
      must(error != 0, "a descriptor that is not sound is refused");
      continue;
    }
    must(!error || has_failed, "only a refusal of the kernel is an error");
    int32_t length = d[DATAGRAM_LENGTH], segment = d[DATAGRAM_SEGMENT] ? d[DATAGRAM_SEGMENT] : length;
    for (int32_t from = 0; from < length || from == 0; from += segment) {
      int32_t size = length - from < segment ? length - from : segment;
      int is_next = at < sent_count && sent[at].owner == i && sent[at].offset == d[DATAGRAM_OFFSET] + from && sent[at].length == size;
      must(is_next || error, "a datagram without an error was sent");
      at += is_next;
      if (!segment) break;
    }
  }
  must(at == sent_count, "no datagram is sent twice, or out of order");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int count = (int)take(&in, 1) % MOST, offloads = (int)take(&in, 1);
  int32_t *desc = exactly((size_t)count * DATAGRAM_STRIDE * sizeof *desc);
  uint8_t *endpoints = exactly((size_t)count * ENDPOINT_SIZE);
  for (int i = 0; i < count; i++) {
    int32_t *d = desc + i * DATAGRAM_STRIDE;
    uint8_t *e = endpoints + i * ENDPOINT_SIZE;
    int shape = (int)take(&in, 1);
    memset(e, (int)take(&in, 1), ENDPOINT_SIZE);
    /* ranges may overlap, so a datagram is known by its port */
    e[ENDPOINT_PORT] = 0;
    e[ENDPOINT_PORT + 1] = (uint8_t)i;
    e[ENDPOINT_FAMILY] = shape & 1 ? 6 : 4;
    e[ENDPOINT_HAS_LOCAL] = shape >> 1 & 1;
    d[DATAGRAM_OFFSET] = i * SKIP + (int32_t)take(&in, 1) % SKIP;
    d[DATAGRAM_LENGTH] = (int32_t)take(&in, 2);
    d[DATAGRAM_SEGMENT] = (int32_t)take(&in, 2);
    d[DATAGRAM_TOS] = shape & 4 ? shape : -1;
    d[DATAGRAM_ERROR] = -1;
    if (shape & 0x40) e[ENDPOINT_FAMILY] = (uint8_t)shape;
    if (shape & 0x80) {
      int which = (int)take(&in, 1) % 3;
      d[which] = (int32_t)take(&in, 4);
    }
    /* bounds the time of an input */
    if (d[DATAGRAM_SEGMENT] > 0 && d[DATAGRAM_LENGTH] / 300 > d[DATAGRAM_SEGMENT]) d[DATAGRAM_LENGTH] = d[DATAGRAM_SEGMENT] * 300;
  }
  struct wg_udp *udp = calloc(1, sizeof *udp);
  must(udp != NULL, "out of memory");
  memcpy(udp->fds, (int[]){offloads & 4 ? -1 : 10, offloads & 8 ? -1 : 11, -1, -1}, sizeof udp->fds);
  udp->gso[0] = udp->can_gso[0] = offloads & 1;
  udp->gso[1] = udp->can_gso[1] = offloads >> 1 & 1;
  int32_t *before = copy_of(desc, (size_t)count * DATAGRAM_STRIDE * sizeof *desc);
  uint8_t *bytes = exactly(SLAB);
  slab = bytes;
  kernel = in;
  sent_count = has_failed = 0;
  napi_value result = fuzz_call(wg_udp_send, 5, (napi_value[]){fuzz_handle(udp, &WG_UDP_KIND), fuzz_bytes(bytes, SLAB),
                                                               fuzz_numbers(desc, (size_t)count * DATAGRAM_STRIDE),
                                                               fuzz_bytes(endpoints, (size_t)count * ENDPOINT_SIZE), fuzz_number(count)});
  int errors = 0;
  for (int i = 0; i < count; i++) errors += desc[i * DATAGRAM_STRIDE + DATAGRAM_ERROR] != 0;
  must(fuzz_result(result) == errors, "the result is the number of errors");
  check_sent(before, desc, endpoints, count, udp);
  fuzz_end();
  free(bytes);
  free(before);
  free(udp);
  free(endpoints);
  free(desc);
  return 0;
}
