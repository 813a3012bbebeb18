/* Opens the two sockets like the kernel module (socket.c wg_socket_init). Both families use one
 * port, our datagrams may be fragmented, and the local address of each received datagram is
 * reported. */
#include "udp.h"
#include "lanes.h"
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* BUFFER has the same size as in wireguard-go. With the privilege, it may exceed the system's
 * limit. */
enum { BUFFER = 7 << 20, LEAST_BUFFER = 64 << 10, PORT_ATTEMPTS = 100 };

static void close_udp(struct wg_udp *udp) {
  wg_lanes_settle(udp->lanes);
  for (int f = 0; f < 4; f++) {
    if (udp->fds[f] >= 0) close(udp->fds[f]);
    udp->fds[f] = -1;
  }
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct wg_udp *udp = data;
  close_udp(udp);
  wg_lanes_unref(udp->lanes);
  free(udp);
}

static int set(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

static void set_buffers(int fd, int bytes) {
  if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) != 0) set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes) != 0) set(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

static int can_segment(int fd) {
  int value;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, &length) == 0;
}

/* Creates a socket with all its options, unbound. Returns 0 or an errno. */
static int prepare(struct wg_udp *udp, int f, int *fd, uint32_t mark, int32_t wanted, const char **call) {
  *call = "socket";
  *fd = socket(f ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (*fd < 0) return errno;
  *call = "setsockopt";
  if (f) {
    if (set(*fd, SOL_IPV6, IPV6_V6ONLY, 1) || set(*fd, SOL_IPV6, IPV6_RECVPKTINFO, 1)) return errno;
    set(*fd, SOL_IPV6, IPV6_RECVTCLASS, 1);
    set(*fd, SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  } else {
    if (set(*fd, SOL_IP, IP_PKTINFO, 1)) return errno;
    set(*fd, SOL_IP, IP_RECVTOS, 1);
    set(*fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  }
  set_buffers(*fd, BUFFER);
  *call = "SO_MARK";
  if (mark && setsockopt(*fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark)) return errno;
  udp->gso[f] = udp->can_gso[f] = wanted & WG_UDP_GSO && can_segment(*fd);
  /* set it on both sockets of a group: the kernel may check either one before it joins datagrams */
  udp->gro[f] = wanted & WG_UDP_GRO && set(*fd, SOL_UDP, UDP_GRO, 1) == 0;
  return 0;
}

/* Opens a second socket, for handshakes. If the kernel refuses, the first socket receives all
 * messages. */
static void open_for_handshakes(struct wg_udp *udp, int f, const union wg_sockaddr *address, socklen_t length, uint32_t mark,
                                int32_t wanted) {
  const char *call;
  int *fd = &udp->fds[2 + f];
  if (!prepare(udp, f, fd, mark, wanted, &call) && !wg_udp_steer(udp->fds[f], *fd, address, length)) {
    if (udp->gro[f]) wg_udp_keep_apart(udp->fds[f], *fd);
    return;
  }
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Opens the socket of one family. Returns 0 or an errno. Sets *port if it is 0. */
static int open_one(struct wg_udp *udp, int f, uint16_t *port, uint32_t mark, int32_t wanted, const char **call) {
  int *fd = &udp->fds[f];
  int err = prepare(udp, f, fd, mark, wanted, call);
  if (err) return err;
  union wg_sockaddr address = {0};
  socklen_t length = f ? sizeof address.v6 : sizeof address.v4;
  address.any.sa_family = f ? AF_INET6 : AF_INET;
  /* the port has the same offset in IPv4 and IPv6 addresses */
  address.v4.sin_port = htons(*port);
  *call = "bind";
  if (bind(*fd, &address.any, length) || getsockname(*fd, &address.any, &length)) return errno;
  *port = ntohs(address.v4.sin_port);
  if (wanted & WG_UDP_STEER) open_for_handshakes(udp, f, &address, length, mark, wanted);
  return 0;
}

static int is_family_missing(int err) { return err == EAFNOSUPPORT || err == EADDRNOTAVAIL; }

static int open_both(struct wg_udp *udp, uint16_t wanted_port, uint32_t mark, int32_t wanted, const char **call) {
  for (int attempt = 0;; attempt++) {
    uint16_t port = wanted_port;
    int err4 = open_one(udp, 0, &port, mark, wanted, call);
    if (err4 && !is_family_missing(err4)) return err4;
    if (err4) close_udp(udp);
    int err6 = open_one(udp, 1, &port, mark, wanted, call);
    if (err6 && is_family_missing(err6) && !err4) {
      if (udp->fds[1] >= 0) close(udp->fds[1]);
      udp->fds[1] = -1;
      err6 = 0;
    }
    udp->port = port;
    if (!err6) return 0;
    close_udp(udp);
    /* the system chose a port that is not free for IPv6: try another */
    if (err6 != EADDRINUSE || wanted_port != 0 || attempt == PORT_ATTEMPTS) return err6;
  }
}

/* udpOpen(port, mark, offloads): returns a handle. Throws system errors. */
static napi_value udp_open(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result = NULL;
  int32_t port, wanted;
  uint32_t mark;
  if (!wg_arguments(env, info, arguments, 3) || !wg_int(env, arguments[0], &port) || !wg_int(env, arguments[2], &wanted)) return NULL;
  if (napi_get_value_uint32(env, arguments[1], &mark) != napi_ok) return wg_throw_type(env, "not a number");
  if (port < 0 || port > 65535) return wg_throw_errno(env, "bind", EINVAL);
  struct wg_udp *udp = calloc(1, sizeof *udp);
  if (!udp) return wg_throw_errno(env, "calloc", ENOMEM);
  for (int f = 0; f < 4; f++) udp->fds[f] = -1;
  const char *call;
  int err = open_both(udp, (uint16_t)port, mark, wanted, &call);
  if (err || !(result = wg_make_handle(env, udp, release, &WG_UDP_KIND))) {
    release(env, udp, NULL);
    return err ? wg_throw_errno(env, call, err) : NULL;
  }
  return result;
}

/* udpAdopt(descriptors, offloads): returns a handle, which then owns four open sockets: IPv4, IPv6,
 * IPv4 for handshakes, IPv6 for handshakes; -1 for none. Throws system errors; the caller then
 * still owns them. */
static napi_value udp_adopt(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  struct wg_array descriptors;
  int32_t wanted;
  if (!wg_arguments(env, info, arguments, 2) || !wg_array(env, arguments[0], napi_int32_array, &descriptors) ||
      !wg_int(env, arguments[1], &wanted))
    return NULL;
  if (descriptors.length != 4) return wg_throw_type(env, "not four descriptors");
  struct wg_udp *udp = calloc(1, sizeof *udp);
  if (!udp) return wg_throw_errno(env, "calloc", ENOMEM);
  memcpy(udp->fds, descriptors.data, sizeof udp->fds);
  int err = wg_udp_check(udp, wanted);
  if (!err && (result = wg_make_handle(env, udp, release, &WG_UDP_KIND))) return result;
  free(udp);
  return err ? wg_throw_errno(env, "adopt UDP socket", err) : NULL;
}

static int offloads(const struct wg_udp *udp) {
  int gso = udp->gso[0] || udp->gso[1], gro = udp->gro[0] || udp->gro[1];
  /* steering protects only if every open family has a socket for handshakes */
  int steer = (udp->fds[0] < 0 || udp->fds[2] >= 0) && (udp->fds[1] < 0 || udp->fds[3] >= 0);
  return (gso ? WG_UDP_GSO : 0) | (gro ? WG_UDP_GRO : 0) | (steer ? WG_UDP_STEER : 0);
}

/* udpInfo(handle): returns port, descriptors, active offloads and counters. */
static napi_value udp_info(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  struct wg_udp *udp;
  if (!wg_arguments(env, info, &argument, 1) || !(udp = wg_handle(env, argument, &WG_UDP_KIND))) return NULL;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  wg_lanes_settle(udp->lanes);
  wg_set_number(env, result, "port", udp->port);
  wg_set_number(env, result, "fd4", udp->fds[0]);
  wg_set_number(env, result, "fd6", udp->fds[1]);
  wg_set_number(env, result, "handshakes4", udp->fds[2]);
  wg_set_number(env, result, "handshakes6", udp->fds[3]);
  wg_set_number(env, result, "offloads", offloads(udp));
  wg_set_number(env, result, "gsoFailed", (int64_t)udp->gso_failed);
  wg_set_number(env, result, "gsoDisabled", (int64_t)udp->gso_disabled);
  wg_set_number(env, result, "gsoPaused", (int64_t)udp->gso_paused);
  wg_set_number(env, result, "localDropped", (int64_t)udp->local_dropped);
  wg_set_number(env, result, "blocked", (int64_t)udp->blocked);
  wg_set_number(env, result, "truncated", (int64_t)udp->truncated);
  return result;
}

/* udpSetMark(handle, mark): sets the firewall mark of all sockets. */
static napi_value udp_set_mark(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_udp *udp;
  uint32_t mark;
  if (!wg_arguments(env, info, arguments, 2) || !(udp = wg_handle(env, arguments[0], &WG_UDP_KIND))) return NULL;
  if (napi_get_value_uint32(env, arguments[1], &mark) != napi_ok) return wg_throw_type(env, "not a number");
  for (int f = 0; f < 4; f++)
    if (udp->fds[f] >= 0 && setsockopt(udp->fds[f], SOL_SOCKET, SO_MARK, &mark, sizeof mark))
      return wg_throw_errno(env, "SO_MARK", errno);
  return wg_undefined(env);
}

/* udpSetBuffers(handle, bytes): limits what each socket may hold in each direction; at most BUFFER.
 * What a socket already holds stays. */
static napi_value udp_set_buffers(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_udp *udp;
  int32_t bytes;
  if (!wg_arguments(env, info, arguments, 2) || !(udp = wg_handle(env, arguments[0], &WG_UDP_KIND)) ||
      !wg_int(env, arguments[1], &bytes))
    return NULL;
  if (bytes > BUFFER) bytes = BUFFER;
  if (bytes < LEAST_BUFFER) bytes = LEAST_BUFFER;
  for (int f = 0; f < 4; f++)
    if (udp->fds[f] >= 0) set_buffers(udp->fds[f], bytes);
  return wg_undefined(env);
}

/* udpRetry(handle): enables UDP_SEGMENT again. Call it after a change on the host, when the kernel
 * may accept it again. */
static napi_value udp_retry(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_udp *udp;
  if (!wg_arguments(env, info, &argument, 1) || !(udp = wg_handle(env, argument, &WG_UDP_KIND))) return NULL;
  wg_lanes_settle(udp->lanes);
  for (int f = 0; f < 2; f++) {
    udp->gso[f] = udp->can_gso[f];
    udp->refusals[f] = 0;
  }
  return wg_undefined(env);
}

/* udpFail(handle, what, errno, count): for tests. Makes the next `count` sends of that kind fail
 * with that errno. */
static napi_value udp_fail(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_udp *udp;
  int32_t what, err, count;
  if (!wg_arguments(env, info, arguments, 4) || !(udp = wg_handle(env, arguments[0], &WG_UDP_KIND)) ||
      !wg_int(env, arguments[1], &what) || !wg_int(env, arguments[2], &err) || !wg_int(env, arguments[3], &count))
    return NULL;
  wg_lanes_settle(udp->lanes);
  udp->fail_what = what;
  udp->fail_errno = err;
  udp->fail_count = count;
  return wg_undefined(env);
}

/* udpClose(handle): closes the sockets. May be called again. Stop polling first. */
static napi_value udp_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_udp *udp;
  if (!wg_arguments(env, info, &argument, 1) || !(udp = wg_handle(env, argument, &WG_UDP_KIND))) return NULL;
  close_udp(udp);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"udpOpen", udp_open},
    {"udpAdopt", udp_adopt},
    {"udpInfo", udp_info},
    {"udpReceive", wg_udp_receive},
    {"udpSend", wg_udp_send},
    {"udpSetMark", udp_set_mark},
    {"udpSetBuffers", udp_set_buffers},
    {"udpRetry", udp_retry},
    {"udpFail", udp_fail},
    {"udpClose", udp_close},
    {NULL, NULL},
};
const struct wg_exports wg_exports_udp = {FUNCTIONS, NULL};
