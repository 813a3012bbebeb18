/* Fuzz target: opening, adopting and reading a TUN (native/tun.c, with tun-status.c, tun-quiet.c
 * and tun-persist.c) on a kernel that grants, refuses and delivers as the input says. A descriptor
 * that could not be adopted stays with its owner, every other one is closed once; what is read
 * stays in the slab, in order and apart, and a flood of reads without a packet ends.
 *
 * Input: what to do (1 byte), the offloads (1) and MTU (2), what an earlier process knew (4), the
 * slab (1, times 4096), room for descriptors (1), the most (1), then what the kernel does with each
 * call (1), and for each read its length (3). */
#define _GNU_SOURCE
#include "tun.h"
#include "input.h"
#include "tun-calls.h"
#include "node-api.h"
#include "offload.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ADOPTED = 50, FIRST = 100, MOST = 256, MOST_CALLS = 4096, LARGEST = 65535 + 40 + WG_VNET_HEADER_SIZE, PI_SIZE = 4 };

static struct input kernel;
static int is_inside, calls, made, tun_fd, is_open[MOST], is_adopted_open, adopted_by_handle;
static short device_flags;
static uint8_t *slab;
static size_t slab_length;
static int reads, malformed;

static int fails(void) {
  static const int errors[] = {EPERM, EINVAL, EBUSY, ENODEV, EMFILE, ENOENT, ENOTTY, EROFS};
  must(++calls < MOST_CALLS, "the calls end");
  uint8_t kind = (uint8_t)take(&kernel, 1);
  errno = errors[kind % 8];
  return kind >= 0xf0;
}

static int open_one(void) {
  if (fails() || made == MOST) return -1;
  is_open[made] = 1;
  return FIRST + made++;
}

/* Besides those of tun-calls.h. */
ssize_t __wrap_readv(int fd, const struct iovec *vectors, int count);
int __wrap_fcntl(int fd, int what, ...);

int __wrap_ioctl(int fd, unsigned long what, ...) {
  va_list list;
  va_start(list, what);
  void *argument = va_arg(list, void *);
  va_end(list);
  struct ifreq *request = argument;
  if (fails()) return -1;
  switch (what) {
    case TUNSETIFF:
      must(request->ifr_flags == (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR), "a new device has vnet headers");
      break;
    case TUNGETIFF: snprintf(request->ifr_name, IFNAMSIZ, "wg0"); request->ifr_flags = device_flags; break;
    case SIOCGIFFLAGS: request->ifr_flags = (short)take(&kernel, 2); break;
    case SIOCGIFINDEX: request->ifr_ifindex = 3; break;
    case SIOCGIFMTU: request->ifr_mtu = (int)take(&kernel, 2); break;
    case SIOCGIFTXQLEN: request->ifr_qlen = take(&kernel, 1) & 1 ? 1000 : 500; break;
    case SIOCSIFTXQLEN: must(request->ifr_qlen == 2000, "the queue is lengthened"); break;
    /* the device is in the namespace where it was opened */
    case TUNGETDEVNETNS: errno = EINVAL; return -1;
    default: break;
  }
  must(fd == tun_fd || (fd >= FIRST && is_open[fd - FIRST]), "only open descriptors are asked");
  return 0;
}
int __wrap_socket(int family, int type, int protocol) {
  (void)family, (void)protocol;
  must(type & SOCK_CLOEXEC, "a socket does not leak");
  return open_one();
}
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return (void)fd, (void)level, (void)option, (void)value, (void)length, 0;
}
ssize_t __wrap_send(int fd, const void *data, size_t length, int flag) { return (void)fd, (void)data, (void)flag, (ssize_t)length; }
ssize_t __wrap_recv(int fd, void *to, size_t room, int flag) {
  (void)fd, (void)to, (void)room, (void)flag;
  errno = EAGAIN; /* test/fuzz/native/tun-quiet.c answers */
  return -1;
}
int __wrap_open(const char *path, int how, ...) {
  if (!is_inside) return __real_open(path, how, 0600);
  must(how & O_CLOEXEC, "a file does not leak");
  int fd = open_one();
  if (strcmp(path, "/dev/net/tun") == 0) tun_fd = fd;
  return fd;
}
int __wrap_fcntl(int fd, int what, ...) {
  must(fd == tun_fd && (what == F_GETFL || what == F_SETFL || what == F_SETFD), "the device waits for nothing, and does not leak");
  return fails() ? -1 : 0;
}
int __wrap_close(int fd) {
  if (!is_inside) return __real_close(fd);
  if (fd == ADOPTED) {
    must(is_adopted_open && adopted_by_handle, "an adopted descriptor is closed by its handle");
    is_adopted_open = 0;
    return 0;
  }
  must(fd >= FIRST && fd < FIRST + made && is_open[fd - FIRST], "a descriptor is closed once");
  is_open[fd - FIRST] = 0;
  return 0;
}

static int is_in_slab(const uint8_t *to, size_t room) { return to >= slab && to + room <= slab + slab_length; }

/* Delivers what the input says: a packet, less than its headers, or more than any packet. */
static ssize_t deliver(const struct iovec *vectors, int count, size_t headers) {
  must(++reads < 1000, "a flood of reads ends");
  uint32_t kind = kernel.left ? (uint32_t)take(&kernel, 1) : 0xff;
  if (kind >= 0xe8) {
    static const int errors[] = {EINTR, EINVAL, EBADFD, EAGAIN};
    errno = kernel.left ? errors[kind % 4] : EAGAIN;
    return -1;
  }
  size_t room = 0;
  for (int i = 0; i < count; i++) room += vectors[i].iov_len;
  must(is_in_slab(vectors[count - 1].iov_base, vectors[count - 1].iov_len), "a packet is read into the slab");
  size_t size = kind & 0x80 ? room : take(&kernel, 3) % (room + 1);
  size_t left = size;
  for (int i = 0; i < count; i++) {
    size_t part = vectors[i].iov_len < left ? vectors[i].iov_len : left;
    memset(vectors[i].iov_base, (int)kind | 1, part);
    left -= part;
  }
  size_t most = LARGEST - WG_VNET_HEADER_SIZE + headers;
  if (size <= headers || size > most) malformed++;
  return (ssize_t)size;
}

static size_t headers_of(void) {
  return (device_flags & IFF_VNET_HDR ? WG_VNET_HEADER_SIZE : 0) + (device_flags & IFF_NO_PI ? 0 : PI_SIZE);
}

ssize_t __wrap_read(int fd, void *to, size_t room) {
  if (!is_inside) return __real_read(fd, to, room);
  if (fd != tun_fd) return 0; /* a setting */
  return deliver(&(struct iovec){to, room}, 1, headers_of());
}
ssize_t __wrap_readv(int fd, const struct iovec *vectors, int count) {
  must(fd == tun_fd && !(device_flags & IFF_NO_PI), "packet information has a place of its own");
  return deliver(vectors, count, headers_of());
}
ssize_t __wrap_write(int fd, const void *data, size_t length) {
  return is_inside ? (ssize_t)length : __real_write(fd, data, length);
}

static void read_some(napi_value handle, size_t room, int64_t most) {
  int32_t *desc = exactly(room * WG_PACKET_STRIDE * sizeof *desc);
  reads = malformed = 0;
  int64_t count = fuzz_result(fuzz_call(fuzz_export(&wg_exports_tun, "tunRead"), 4,
                                        (napi_value[]){handle, fuzz_bytes(slab, slab_length), fuzz_numbers(desc, room * WG_PACKET_STRIDE), fuzz_number(most)}));
  must(count >= -1 && count <= (int64_t)room && count <= (most < 0 ? 0 : most), "there are no more packets than wanted");
  int64_t end = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t offset = desc[i * WG_PACKET_STRIDE + WG_PACKET_OFFSET], length = desc[i * WG_PACKET_STRIDE + WG_PACKET_LENGTH];
    must(offset >= end && length > WG_VNET_HEADER_SIZE && length <= LARGEST && offset + length <= (int64_t)slab_length, "packets are in the slab, in order and apart");
    must(slab[offset + length - 1] & 1, "a packet is what was delivered");
    end = offset + length;
  }
  free(desc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  uint8_t what = (uint8_t)take(&in, 1);
  int32_t offloads = (int32_t)take(&in, 1), mtu = (int32_t)take(&in, 2), kept[4];
  for (int i = 0; i < 4; i++) kept[i] = (int8_t)take(&in, 1);
  slab_length = take(&in, 1) * 4096;
  size_t room = take(&in, 1);
  int64_t most = (int8_t)take(&in, 1);
  kernel = in;
  calls = made = 0;
  int is_new = what & 1, is_taken = !is_new && what & 2;
  is_adopted_open = 1;
  adopted_by_handle = 0;
  tun_fd = is_new ? -1 : ADOPTED;
  device_flags = is_new ? IFF_TUN | IFF_NO_PI | IFF_VNET_HDR : (short)((what & 4 ? IFF_TAP : IFF_TUN) | (what & 8 ? 0 : IFF_NO_PI) | (what & 16 ? 0 : IFF_VNET_HDR) | (what & 32 ? IFF_PERSIST : 0));
  slab = exactly(slab_length);
  is_inside = 1;
  napi_value handle = is_taken ? fuzz_call(fuzz_export(&wg_exports_tun, "tunAdopt"), 3, (napi_value[]){fuzz_number(ADOPTED), fuzz_number(offloads), fuzz_numbers(kept, 4)})
                               : fuzz_call(fuzz_export(&wg_exports_tun, "tunOpen"), 4, (napi_value[]){fuzz_text("wg0"), fuzz_number(is_new ? -1 : ADOPTED), fuzz_number(offloads), fuzz_number(mtu)});
  adopted_by_handle = handle && !is_new;
  must(!handle || !(device_flags & IFF_TAP), "a TAP is refused");
  if (!handle)
    for (int i = 0; i < made; i++) must(!is_open[i], "a failure leaves nothing open");
  if (handle) {
    int32_t now[4];
    fuzz_call(fuzz_export(&wg_exports_tun, "tunKept"), 2, (napi_value[]){handle, fuzz_numbers(now, 4)});
    must(now[0] == (is_taken ? kept[0] : is_new && !(device_flags & IFF_PERSIST)), "who made the device is known to the next process");
    read_some(handle, room, most);
  }
  is_inside = 1;
  fuzz_end();
  is_inside = 0;
  must(is_adopted_open == !adopted_by_handle, "only a handle closes what it adopted");
  for (int i = 0; i < made; i++) must(!is_open[i], "everything is closed at the end");
  free(slab);
  return 0;
}
