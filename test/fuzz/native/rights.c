/* Fuzz target: passing descriptors (native/rights.c) over a socket that delivers, truncates and
 * refuses as the input says. Every descriptor that arrives is handed out or closed, once;
 * everything that is sent goes once and in order, the descriptors with the first byte.
 *
 * Input: room for bytes (1 byte) and descriptors (1), how much to send (2) and how many descriptors
 * (1), then what the kernel does with each call. */
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { SOCKET = 10, FIRST = 100, MOST = 64, LIMIT = 5 };

static struct input kernel;
static uint8_t is_open[MOST]; /* of the descriptors from FIRST on */
static int given, socket_open, fds_sent;
static const uint8_t *next_byte;
static int64_t now;

/* The linker gives rights.c these functions in place of the C library's. */
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int __wrap_close(int fd);
int __wrap_poll(struct pollfd *fds, nfds_t count, int limit);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

int __wrap_socket(int family, int type, int protocol) {
  (void)type, (void)protocol;
  must(family == AF_UNIX && !socket_open, "one UNIX socket");
  socket_open = 1;
  return SOCKET;
}
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length) {
  must(fd == SOCKET && address->sa_family == AF_UNIX && length <= sizeof(struct sockaddr_un), "a path is an address");
  errno = ECONNREFUSED;
  return (int)take(&kernel, 1) & 0x80 ? -1 : 0;
}
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return (void)fd, (void)level, (void)option, (void)value, (void)length, 0;
}
int __wrap_close(int fd) {
  if (fd == SOCKET) must(socket_open, "the socket is closed once"), socket_open = 0;
  else must(fd >= FIRST && fd < FIRST + given && is_open[fd - FIRST], "a descriptor is closed once"), is_open[fd - FIRST] = 0;
  return 0;
}
int __wrap_poll(struct pollfd *fds, nfds_t count, int limit) {
  must(fds->fd == SOCKET && count == 1 && limit > 0 && limit <= LIMIT, "a wait ends");
  now += 1 + (int64_t)take(&kernel, 1) % 8;
  return 1;
}
int __wrap_clock_gettime(clockid_t clock, struct timespec *to) {
  (void)clock;
  *to = (struct timespec){now / 1000, now % 1000 * 1000000};
  return 0;
}

/* Returns the errno of a call; 0 if it succeeds, as after the end of the input. */
static int next_errno(void) {
  static const int errors[] = {EINTR, EAGAIN, EPIPE, ENOMEM};
  uint32_t kind = (uint32_t)take(&kernel, 1);
  return kind & 0x80 ? errors[kind % 4] : 0;
}

/* Delivers up to three messages with descriptors, as far as the control data has room. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
  size_t room = message->msg_controllen;
  must(fd == SOCKET && flags & MSG_DONTWAIT && flags & MSG_CMSG_CLOEXEC, "it neither waits nor leaks to other programs");
  if ((errno = next_errno()) != 0) return -1;
  message->msg_controllen = 0;
  message->msg_flags = take(&kernel, 1) & 0x80 ? MSG_CTRUNC : 0;
  for (int messages = (int)take(&kernel, 1) % 4; messages > 0; messages--) {
    size_t count = take(&kernel, 1) % 17, size = count * sizeof(int);
    if (message->msg_controllen + CMSG_SPACE(size) > room || given + (int)count > MOST) break;
    struct cmsghdr *c = (struct cmsghdr *)((char *)message->msg_control + message->msg_controllen);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
    if (take(&kernel, 1) & 0x80) c->cmsg_type = SCM_RIGHTS + 1, count = 0;
    for (size_t i = 0; i < count; i++, given++) {
      int opened = FIRST + given;
      is_open[given] = 1;
      memcpy(CMSG_DATA(c) + i * sizeof opened, &opened, sizeof opened);
    }
    message->msg_controllen += CMSG_SPACE(size);
  }
  size_t got = take(&kernel, 1) % (message->msg_iov->iov_len + 1);
  memset(message->msg_iov->iov_base, 1, got);
  return (ssize_t)got;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
  must(fd == SOCKET && flags & MSG_NOSIGNAL && flags & MSG_DONTWAIT, "it neither waits nor ends the process");
  must(message->msg_iov->iov_base == next_byte && message->msg_iov->iov_len > 0, "bytes go in order");
  if ((errno = next_errno()) != 0) return -1;
  const struct cmsghdr *c = CMSG_FIRSTHDR(message);
  if (c) fds_sent += (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  size_t sent = 1 + take(&kernel, 2) % message->msg_iov->iov_len;
  next_byte += sent;
  return (ssize_t)sent;
}

static void receive(napi_value handle, size_t room, size_t places) {
  uint8_t *bytes = exactly(room);
  int32_t *fds = exactly(places * sizeof *fds);
  napi_value result = fuzz_call(fuzz_export(&wg_exports_rights, "rightsReceive"), 3,
                                (napi_value[]){handle, fuzz_bytes(bytes, room), fuzz_numbers(fds, places)});
  int64_t got = fuzz_result(result);
  must(!result || (got >= -1 && got <= (int64_t)room), "the result counts bytes");
  for (size_t i = 0; room && i < places; i++) {
    must(fds[i] == -1 || (result && fds[i] >= FIRST && is_open[fds[i] - FIRST]), "a place has an open descriptor or -1");
    if (fds[i] >= 0) __wrap_close(fds[i]);
  }
  for (int i = 0; i < given; i++) must(!is_open[i], "no descriptor is lost");
  free(fds);
  free(bytes);
}

static void send_some(napi_value handle, size_t size, size_t count) {
  uint8_t *bytes = exactly(size);
  int32_t *fds = calloc(count + 1, sizeof *fds);
  must(fds != NULL, "out of memory");
  next_byte = bytes;
  fds_sent = 0;
  napi_value result = fuzz_call(fuzz_export(&wg_exports_rights, "rightsSend"), 4,
                                (napi_value[]){handle, fuzz_bytes(bytes, size), fuzz_numbers(fds, count), fuzz_number(LIMIT)});
  must(!result || next_byte == bytes + size, "everything is sent, or it throws");
  must(fds_sent == (next_byte > bytes ? (int)count : 0), "the descriptors go with the first byte, once");
  free(fds);
  free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  size_t room = take(&in, 1), places = take(&in, 1) % 40, length = take(&in, 2), count = take(&in, 1) % 20;
  kernel = in;
  given = socket_open = 0;
  now = 0;
  napi_value handle = fuzz_call(fuzz_export(&wg_exports_rights, "rightsConnect"), 1, (napi_value[]){fuzz_text("/run/socket")});
  if (handle) {
    receive(handle, room, places);
    send_some(handle, length, count);
  }
  fuzz_end();
  must(!socket_open, "the socket is closed at the end");
  return 0;
}
