/* Fuzz target: receiving from netlink (native/netlink.c). Datagrams stay in the slab, in order and
 * apart, and a flood of datagrams from other senders ends.
 *
 * Input: bytes of the slab (2, times 16), room in the descriptors (1), then for each datagram its
 * sender (1), and its length or errno (3). */
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

enum { DATAGRAM = 65536, STRIDE = 2 };

static struct input kernel;
static uint8_t *slab;
static size_t slab_length;
static int calls;

/* The linker gives netlink.c these functions in place of the C library's. */
int __wrap_socket(int family, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_close(int fd);
ssize_t __wrap_recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *from, socklen_t *length);

int __wrap_socket(int family, int type, int protocol) { return (void)family, (void)type, (void)protocol, 10; }
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  (void)fd, (void)level, (void)value, (void)length;
  return option & 1 ? -1 : 0;
}
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length) { return (void)fd, (void)address, (void)length, 0; }
int __wrap_close(int fd) {
  must(fd == 10, "only its own socket is closed");
  return 0;
}

ssize_t __wrap_recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *from, socklen_t *length) {
  (void)fd;
  calls++;
  must((uint8_t *)to >= slab && (uint8_t *)to + room <= slab + slab_length, "a datagram is received into the slab");
  must(flags & MSG_TRUNC && *length == sizeof(struct sockaddr_nl), "a datagram tells its length and sender");
  uint32_t kind = kernel.left ? (uint32_t)take(&kernel, 1) : 0xff;
  if (kind >= 0xf0) {
    static const int errors[] = {EINTR, ENOBUFS, EBADF, EAGAIN};
    errno = errors[kind % 4];
    return -1;
  }
  size_t size = take(&kernel, 3) % (DATAGRAM + 64);
  struct sockaddr_nl sender = {.nl_family = AF_NETLINK, .nl_pid = kind & 1};
  memcpy(from, &sender, sizeof sender);
  memset(to, (int)kind, size < room ? size : room);
  return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  slab_length = take(&in, 2) * 16;
  size_t room = take(&in, 1);
  slab = exactly(slab_length);
  int32_t *desc = exactly(room * STRIDE * sizeof *desc);
  int32_t groups[] = {1, 2};
  napi_value handle = fuzz_call(fuzz_export(&wg_exports_netlink, "netlinkOpen"), 2, (napi_value[]){fuzz_number(0), fuzz_numbers(groups, take(&in, 1) % 3)});
  kernel = in;
  calls = 0;
  napi_value result = handle ? fuzz_call(fuzz_export(&wg_exports_netlink, "netlinkReceive"), 3,
                                         (napi_value[]){handle, fuzz_bytes(slab, slab_length), fuzz_numbers(desc, room * STRIDE)})
                             : NULL;
  int64_t count = handle ? fuzz_result(result) : 0, end = 0;
  must(count >= 0 && count <= (int64_t)room && calls <= (int)room, "there are no more datagrams than descriptors");
  for (int64_t i = 0; i < count; i++) {
    int64_t offset = desc[i * STRIDE], length = desc[i * STRIDE + 1];
    must(offset >= end && offset <= (int64_t)slab_length, "datagrams are apart, and in order");
    must(length <= DATAGRAM && (length < 0 || offset + length <= (int64_t)slab_length), "a datagram is in the slab");
    must(length >= 0 || length == -ENOBUFS || length == -EMSGSIZE || i == count - 1, "an error of the socket ends it");
    must(length <= 0 || !(slab[offset] & 1), "only the kernel's datagrams count");
    if (length > 0) end = offset + length;
  }
  fuzz_end();
  free(desc);
  free(slab);
  return 0;
}
