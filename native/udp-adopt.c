/* Adopts UDP sockets that another process opened with udp.c: checks that they are such sockets, and
 * requests the offloads again. Their port, mark, buffers and steering belong to the sockets, and
 * stay. */
#include "udp.h"
#include <errno.h>
#include <netinet/udp.h>

static int option(int fd, int level, int name) {
  int value;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

/* Checks one socket. Returns 0 or an errno. Sets *port if it is 0. */
static int check(int fd, int f, uint16_t *port) {
  union wg_sockaddr address = {0};
  socklen_t length = sizeof address;
  int family = f & 1 ? AF_INET6 : AF_INET;
  if (option(fd, SOL_SOCKET, SO_DOMAIN) != family) return EAFNOSUPPORT;
  if (option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM || option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP) return EPROTOTYPE;
  if (getsockname(fd, &address.any, &length) != 0) return errno;
  uint16_t bound = ntohs(address.v4.sin_port);
  if (bound == 0 || (*port != 0 && bound != *port)) return EADDRNOTAVAIL;
  *port = bound;
  return 0;
}

static void request_offloads(struct wg_udp *udp, int f, int32_t wanted) {
  int fd = udp->fds[f], handshakes = udp->fds[2 + f], on = (wanted & WG_UDP_GRO) != 0;
  udp->gso[f] = udp->can_gso[f] = wanted & WG_UDP_GSO && option(fd, SOL_UDP, UDP_SEGMENT) >= 0;
  udp->gro[f] = setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0 && on;
  if (handshakes < 0) return;
  setsockopt(handshakes, SOL_UDP, UDP_GRO, &on, sizeof on);
  if (!on) wg_udp_join(fd, handshakes);
}

int wg_udp_check(struct wg_udp *udp, int32_t wanted) {
  udp->port = 0;
  for (int f = 0; f < 4; f++) {
    int err = udp->fds[f] < 0 ? 0 : check(udp->fds[f], f, &udp->port);
    if (err) return err;
  }
  /* sockets for handshakes alone would receive nothing else */
  if (udp->port == 0 || (udp->fds[0] < 0 && udp->fds[2] >= 0) || (udp->fds[1] < 0 && udp->fds[3] >= 0)) return EINVAL;
  for (int f = 0; f < 2; f++)
    if (udp->fds[f] >= 0) request_offloads(udp, f, wanted);
  return 0;
}
