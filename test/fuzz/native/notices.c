/* Fuzz target: notices of the network (native/notices.c). What has changed is what a plain reading
 * of the datagrams says; a flood of them ends, and datagrams of other senders count for nothing.
 *
 * Input: what is watched (1 byte), then for each read the kernel's answer (1): a datagram of any
 * bytes (length 1, bytes), or of messages (number 1, each type 1, flags 1, length change 1). */
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

enum { LINKS = 1, ROUTES = 2, MOST_READS = 64, OWN = 10 };

static struct input kernel;
static int reads, is_open;
static int64_t expected;
static uint32_t groups;

/* The linker gives notices.c these functions in place of the C library's. */
int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_close(int fd);
ssize_t __wrap_recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *from, socklen_t *length);

int __wrap_socket(int family, int type, int protocol) {
  must(family == AF_NETLINK && type & SOCK_NONBLOCK && type & SOCK_CLOEXEC && protocol == NETLINK_ROUTE, "a socket that neither waits nor leaks");
  errno = EMFILE;
  if (take(&kernel, 1) == 0xff) return -1;
  is_open = 1;
  return OWN;
}
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length) {
  struct sockaddr_nl own;
  must(fd == OWN && length == sizeof own, "an address of netlink");
  memcpy(&own, address, sizeof own);
  groups = own.nl_groups;
  errno = EPERM;
  return take(&kernel, 1) == 0xff ? -1 : 0;
}
int __wrap_close(int fd) {
  must(fd == OWN && is_open, "the socket is closed once");
  is_open = 0;
  return 0;
}

/* Reads a datagram as plainly as possible: whole messages, one after the other. */
static int64_t plain_reading(const uint8_t *at, size_t left) {
  int64_t what = 0;
  while (left >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header;
    memcpy(&header, at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) break;
    int type = header.nlmsg_type;
    if (type == RTM_NEWLINK || type == RTM_DELLINK) what |= LINKS;
    if (type == RTM_NEWADDR || type == RTM_DELADDR) what |= ROUTES;
    if (type == RTM_NEWROUTE || type == RTM_DELROUTE) {
      struct rtmsg route = {0};
      if (header.nlmsg_len >= sizeof header + sizeof route) memcpy(&route, at + sizeof header, sizeof route);
      /* a cached route of one destination is no change of the table */
      if (!(route.rtm_flags & RTM_F_CLONED)) what |= ROUTES;
    }
    size_t step = (header.nlmsg_len + 3) & ~3u;
    if (step >= left) break;
    at += step;
    left -= step;
  }
  return what;
}

static size_t put_messages(uint8_t *to, size_t room) {
  static const uint16_t types[] = {RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE, NLMSG_ERROR, NLMSG_DONE, RTM_NEWRULE};
  size_t at = 0;
  for (int number = (int)take(&kernel, 1) % 200; number > 0; number--) {
    uint8_t type = (uint8_t)take(&kernel, 1), flags = (uint8_t)take(&kernel, 1), change = (uint8_t)take(&kernel, 1);
    struct {
      struct nlmsghdr header;
      struct rtmsg route;
    } message = {.header = {.nlmsg_type = types[type % 9], .nlmsg_len = sizeof message + (change & 0x80 ? (uint32_t)(int8_t)change : change)},
                 .route = {.rtm_flags = flags & 1 ? RTM_F_CLONED : 0}};
    size_t step = ((change & 0x80 ? sizeof message : message.header.nlmsg_len) + 3) & ~(size_t)3;
    if (at + step > room) break;
    memset(to + at, 0, step);
    memcpy(to + at, &message, sizeof message);
    at += step;
  }
  return at;
}

ssize_t __wrap_recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *from, socklen_t *length) {
  (void)flags;
  must(++reads <= MOST_READS, "a flood of datagrams ends");
  must(fd == OWN && is_open && *length == sizeof(struct sockaddr_nl), "a datagram tells its sender");
  uint32_t kind = kernel.left ? (uint32_t)take(&kernel, 1) : 0xff;
  if (kind >= 0xf0) {
    static const int errors[] = {EINTR, ENOBUFS, EBADF, EAGAIN};
    errno = errors[kind % 4];
    if (errno == ENOBUFS) expected |= LINKS | ROUTES;
    return -1;
  }
  struct sockaddr_nl sender = {.nl_family = AF_NETLINK, .nl_pid = kind & 1};
  memcpy(from, &sender, sizeof sender);
  size_t size = 0;
  if (kind & 2) size = put_messages(to, room);
  else
    for (size = take(&kernel, 1); size > kernel.left; size--) continue;
  if (!(kind & 2))
    for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = (uint8_t)take(&kernel, 1);
  if (!sender.nl_pid) expected |= plain_reading(to, size);
  return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int what = (int)take(&in, 1);
  kernel = in;
  reads = is_open = 0;
  expected = groups = 0;
  napi_value handle = fuzz_call(fuzz_export(&wg_exports_notices, "noticesOpen"), 1, (napi_value[]){fuzz_number(what)});
  must(!handle == !is_open, "a socket is open exactly if there is a handle");
  if (handle) {
    must(!(groups & RTMGRP_LINK) == !(what & LINKS) && !(groups & RTMGRP_IPV4_ROUTE) == !(what & ROUTES) &&
             !(groups & RTMGRP_IPV6_IFADDR) == !(what & ROUTES), "the socket hears what is watched");
    napi_value result = fuzz_call(fuzz_export(&wg_exports_notices, "noticesDrain"), 1, (napi_value[]){handle});
    must(fuzz_result(result) == expected, "what has changed is what the kernel said");
    fuzz_call(fuzz_export(&wg_exports_notices, "noticesClose"), 1, (napi_value[]){handle});
    must(!is_open, "closing closes the socket");
  }
  fuzz_end();
  return 0;
}
