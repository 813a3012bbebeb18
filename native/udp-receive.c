/* Receives with recvmmsg into ranges of 64 KiB. A range may hold many datagrams of one sender,
 * joined by UDP_GRO. */
#include "udp.h"
#include "bytes.h"
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

static void put_native32(uint8_t *p, uint32_t v) { wg_put_le32(p, v); }

/* Fills one endpoint record and its descriptor. Skips control data of unknown kinds. */
static void describe(const struct msghdr *header, int32_t *desc, uint8_t *endpoint) {
  const union wg_sockaddr *from = header->msg_name;
  memset(endpoint, 0, ENDPOINT_SIZE);
  if (from->any.sa_family == AF_INET6) {
    endpoint[ENDPOINT_FAMILY] = 6;
    memcpy(endpoint + ENDPOINT_PORT, &from->v6.sin6_port, 2);
    memcpy(endpoint + ENDPOINT_ADDRESS, &from->v6.sin6_addr, 16);
    put_native32(endpoint + ENDPOINT_SCOPE, from->v6.sin6_scope_id);
  } else {
    endpoint[ENDPOINT_FAMILY] = 4;
    memcpy(endpoint + ENDPOINT_PORT, &from->v4.sin_port, 2);
    memcpy(endpoint + ENDPOINT_ADDRESS, &from->v4.sin_addr, 4);
  }
  desc[DATAGRAM_SEGMENT] = 0;
  desc[DATAGRAM_TOS] = -1;
  desc[DATAGRAM_ERROR] = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR((struct msghdr *)header, c)) {
    int number = 0;
    size_t size = c->cmsg_len - CMSG_LEN(0);
    memcpy(&number, CMSG_DATA(c), size < sizeof number ? size : sizeof number);
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      if (number > 0 && number < desc[DATAGRAM_LENGTH]) desc[DATAGRAM_SEGMENT] = number;
    } else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) {
      desc[DATAGRAM_TOS] = *CMSG_DATA(c);
    } else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      desc[DATAGRAM_TOS] = number & 0xff;
    } else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
      const struct in_pktinfo *local = (const struct in_pktinfo *)CMSG_DATA(c);
      endpoint[ENDPOINT_HAS_LOCAL] = 1;
      /* ipi_spec_dst is one of our addresses, even if the datagram went to a broadcast address */
      memcpy(endpoint + ENDPOINT_LOCAL, &local->ipi_spec_dst, 4);
      put_native32(endpoint + ENDPOINT_IFINDEX, (uint32_t)local->ipi_ifindex);
    } else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const struct in6_pktinfo *local = (const struct in6_pktinfo *)CMSG_DATA(c);
      if (IN6_IS_ADDR_MULTICAST(&local->ipi6_addr)) continue;
      endpoint[ENDPOINT_HAS_LOCAL] = 1;
      memcpy(endpoint + ENDPOINT_LOCAL, &local->ipi6_addr, 16);
      put_native32(endpoint + ENDPOINT_IFINDEX, local->ipi6_ifindex);
    }
  }
}

/* Receives up to `room` messages from one socket into *used ranges, beginning at `base`. Returns
 * the number of filled descriptors. */
static int receive_from(struct wg_udp *udp, int f, uint8_t *slab, size_t base, int room, int *used, int32_t *desc, uint8_t *endpoints) {
  for (int i = 0; i < room; i++) {
    udp->in.vectors[i] = (struct iovec){slab + base + (size_t)i * WG_UDP_RANGE, WG_UDP_RANGE};
    udp->in.messages[i].msg_hdr = (struct msghdr){
        .msg_name = &udp->in.addresses[i],
        .msg_namelen = sizeof udp->in.addresses[i],
        .msg_iov = &udp->in.vectors[i],
        .msg_iovlen = 1,
        .msg_control = &udp->in.controls[i],
        .msg_controllen = sizeof udp->in.controls[i],
    };
  }
  int got;
  do got = recvmmsg(udp->fds[f], udp->in.messages, (unsigned)room, 0, NULL);
  while (got < 0 && errno == EINTR);
  *used = got > 0 ? got : 0;
  int kept = 0;
  for (int i = 0; i < got; i++) {
    const struct msghdr *header = &udp->in.messages[i].msg_hdr;
    if (header->msg_flags & MSG_TRUNC) {
      udp->truncated++;
      continue;
    }
    int32_t *d = desc + (size_t)kept * DATAGRAM_STRIDE;
    d[DATAGRAM_OFFSET] = (int32_t)(base + (size_t)i * WG_UDP_RANGE);
    d[DATAGRAM_LENGTH] = (int32_t)udp->in.messages[i].msg_len;
    describe(header, d, endpoints + (size_t)kept * ENDPOINT_SIZE);
    kept++;
  }
  return kept;
}

/* udpReceive(handle, sockets, most, slab, desc, endpoints): receives datagrams and returns the
 * number of filled descriptors, at most `most`. `sockets` has the bits 1 (IPv4) and 2 (IPv6), or,
 * for handshakes, 4 and 8; one kind per call. Uses all whole ranges of 64 KiB in the slab. */
napi_value wg_udp_receive(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  int32_t sockets, most;
  struct wg_udp *udp;
  struct wg_array slab, desc, endpoints;
  if (!wg_arguments(env, info, arguments, 6) || !(udp = wg_handle(env, arguments[0], &WG_UDP_KIND)) || !wg_int(env, arguments[1], &sockets) ||
      !wg_int(env, arguments[2], &most) || !wg_array(env, arguments[3], napi_uint8_array, &slab) ||
      !wg_array(env, arguments[4], napi_int32_array, &desc) || !wg_array(env, arguments[5], napi_uint8_array, &endpoints))
    return NULL;
  size_t room = slab.length / WG_UDP_RANGE;
  if (room > desc.length / DATAGRAM_STRIDE) room = desc.length / DATAGRAM_STRIDE;
  if (room > endpoints.length / ENDPOINT_SIZE) room = endpoints.length / ENDPOINT_SIZE;
  if (most < 0) most = 0;
  if (room > (size_t)most) room = (size_t)most;
  int count = 0;
  size_t ranges = 0;
  int handshakes = sockets & 3 ? 0 : 2;
  udp->turn ^= 1;
  for (int turn = 0; turn < 2; turn++) {
    int f = (udp->turn ^ turn) + handshakes;
    /* the sockets take turns, so that neither waits longer than one call */
    size_t left = room - ranges;
    int used;
    if (left > WG_UDP_VECTOR) left = WG_UDP_VECTOR;
    if (udp->fds[f] < 0 || left == 0 || !(sockets & 1 << f)) continue;
    count += receive_from(udp, f, slab.data, ranges * WG_UDP_RANGE, (int)left, &used, (int32_t *)desc.data + (size_t)count * DATAGRAM_STRIDE,
                          (uint8_t *)endpoints.data + (size_t)count * ENDPOINT_SIZE);
    ranges += (size_t)used;
  }
  return wg_number(env, count);
}
