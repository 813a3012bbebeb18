/* Sends and receives datagrams on a netlink socket (netlink(7)). TypeScript writes and parses
 * them. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
/* Added in Linux 4.3, 4.12 and 4.20; older headers lack them. */
enum { CAP_ACK = 10, EXT_ACK = 11, GET_STRICT_CHECK = 12 };

static const napi_type_tag KIND = {WG_TAG, 0x77672d6e65746c31};

/* LARGEST: no datagram of the kernel is larger. Parts of a dump have at most 32 KiB, and the answer
 * to one request has a few pages. */
enum { LARGEST = 65536, ROOM = 4 << 20, STRIDE = 2 };

struct netlink {
  int fd;
};

static void close_netlink(struct netlink *netlink) {
  if (netlink->fd >= 0) close(netlink->fd);
  netlink->fd = -1;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct netlink *netlink = data;
  close_netlink(netlink);
  free(netlink);
}

static int open_netlink(struct netlink *netlink, int32_t protocol, const struct wg_array *groups, const char **call) {
  int on = 1, room = ROOM;
  *call = "socket";
  netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (netlink->fd < 0) return errno;
  /* These options may fail. They shorten acknowledgements, add error texts, check dump requests
   * strictly, and enlarge the receive buffer. */
  setsockopt(netlink->fd, SOL_NETLINK, CAP_ACK, &on, sizeof on);
  setsockopt(netlink->fd, SOL_NETLINK, EXT_ACK, &on, sizeof on);
  setsockopt(netlink->fd, SOL_NETLINK, GET_STRICT_CHECK, &on, sizeof on);
  if (setsockopt(netlink->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
    setsockopt(netlink->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  /* an nf_tables transaction is one datagram; a set with many elements makes it large */
  if (setsockopt(netlink->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
    setsockopt(netlink->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  *call = "bind";
  if (bind(netlink->fd, (struct sockaddr *)&address, sizeof address) != 0) return errno;
  *call = "NETLINK_ADD_MEMBERSHIP";
  for (size_t i = 0; i < groups->length; i++)
    if (setsockopt(netlink->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, (int32_t *)groups->data + i, sizeof(int32_t)) != 0) return errno;
  return 0;
}

/* netlinkOpen(protocol, groups): returns a handle that has joined these multicast groups
 * (Int32Array). Throws system errors. */
static napi_value netlink_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  int32_t protocol;
  struct wg_array groups;
  if (!wg_arguments(env, info, arguments, 2) || !wg_int(env, arguments[0], &protocol) ||
      !wg_array(env, arguments[1], napi_int32_array, &groups))
    return NULL;
  struct netlink *netlink = calloc(1, sizeof *netlink);
  if (!netlink) return wg_throw_errno(env, "calloc", ENOMEM);
  *netlink = (struct netlink){.fd = -1};
  const char *call;
  int err = open_netlink(netlink, protocol, &groups, &call);
  if (err || !(result = wg_make_handle(env, netlink, release, &KIND))) {
    release(env, netlink, NULL);
    return err ? wg_throw_errno(env, call, err) : NULL;
  }
  return result;
}

/* netlinkFd(handle): returns the descriptor for pollStart; -1 when closed. */
static napi_value netlink_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct netlink *netlink;
  if (!wg_arguments(env, info, &argument, 1) || !(netlink = wg_handle(env, argument, &KIND))) return NULL;
  return wg_number(env, netlink->fd);
}

/* netlinkSend(handle, bytes): sends one datagram to the kernel. Throws system errors. */
static napi_value netlink_send(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct netlink *netlink;
  struct wg_array bytes;
  if (!wg_arguments(env, info, arguments, 2) || !(netlink = wg_handle(env, arguments[0], &KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &bytes))
    return NULL;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do sent = sendto(netlink->fd, bytes.data, bytes.length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? wg_throw_errno(env, "sendto", errno) : wg_undefined(env);
}

/* netlinkReceive(handle, slab, desc): reads datagrams of the kernel from the socket into the slab,
 * until none are left or the slab or `desc` is full. Returns their number. `desc` gets the offset
 * and length of each. A negative length is an errno: ENOBUFS if datagrams were lost, EMSGSIZE for a
 * datagram that is too large. */
static napi_value netlink_receive(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct netlink *netlink;
  struct wg_array slab, desc;
  if (!wg_arguments(env, info, arguments, 3) || !(netlink = wg_handle(env, arguments[0], &KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &slab) || !wg_array(env, arguments[2], napi_int32_array, &desc))
    return NULL;
  int64_t count = 0;
  size_t at = 0;
  int32_t *to = desc.data;
  /* datagrams from other senders count too, so that a flood of them cannot prolong the loop */
  for (size_t asked = 0; asked < desc.length / STRIDE && netlink->fd >= 0 && slab.length <= INT32_MAX && at <= slab.length && slab.length - at >= LARGEST; asked++) {
    struct sockaddr_nl from = {0};
    socklen_t from_length = sizeof from;
    ssize_t got = recvfrom(netlink->fd, (uint8_t *)slab.data + at, LARGEST, MSG_TRUNC, (struct sockaddr *)&from, &from_length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got >= 0 && from.nl_pid != 0) continue; /* not from the kernel */
    if (got < 0) got = -errno;
    if (got > LARGEST) got = -EMSGSIZE;
    to[0] = (int32_t)at;
    to[1] = (int32_t)got;
    to += STRIDE;
    count++;
    if (got > 0) at += ((size_t)got + 15) & ~(size_t)15;
    if (got < 0 && got != -ENOBUFS && got != -EMSGSIZE) break;
  }
  return wg_number(env, count);
}

/* netlinkClose(handle): closes the socket. May be called again. Stop polling first. */
static napi_value netlink_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct netlink *netlink;
  if (!wg_arguments(env, info, &argument, 1) || !(netlink = wg_handle(env, argument, &KIND))) return NULL;
  close_netlink(netlink);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"netlinkOpen", netlink_open},
    {"netlinkFd", netlink_fd},
    {"netlinkSend", netlink_send},
    {"netlinkReceive", netlink_receive},
    {"netlinkClose", netlink_close},
    {NULL, NULL},
};
const struct wg_exports wg_exports_netlink = {FUNCTIONS, NULL};
