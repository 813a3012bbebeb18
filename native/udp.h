/* UDP sockets for IPv4 and IPv6 on one port. udp.c opens them, udp-adopt.c takes open ones,
 * udp-steer.c gives handshakes a separate socket, udp-receive.c and udp-send.c transfer datagrams
 * in batches. */
#ifndef WG_UDP_H
#define WG_UDP_H
#define _GNU_SOURCE
#include "addon.h"
#include <netinet/in.h>
#include <sys/socket.h>

static const napi_type_tag WG_UDP_KIND = {WG_TAG, 0x77672d7564703031};

/* Offloads, as requested and as granted; the same bits as in src/io/udp.ts. */
enum { WG_UDP_GSO = 1, WG_UDP_GRO = 2, WG_UDP_STEER = 4 };

/* Fields of a descriptor, as in src/packet/batch.ts. */
enum { DATAGRAM_OFFSET, DATAGRAM_LENGTH, DATAGRAM_SEGMENT, DATAGRAM_TOS, DATAGRAM_ERROR, DATAGRAM_STRIDE };

/* Fields of an endpoint record, as in src/base/endpoint.ts. */
enum {
  ENDPOINT_FAMILY = 0,
  ENDPOINT_HAS_LOCAL = 1,
  ENDPOINT_PORT = 2,
  ENDPOINT_ADDRESS = 4,
  ENDPOINT_SCOPE = 20,
  ENDPOINT_LOCAL = 24,
  ENDPOINT_IFINDEX = 40,
  ENDPOINT_SIZE = 48,
  /* value of HAS_LOCAL after sending: the local address was no longer usable, and the kernel chose
   * another one */
  LOCAL_DROPPED = 0xff,
};

/* This many consecutive refusals of UDP_SEGMENT disable it until udpRetry. */
enum { WG_UDP_REFUSALS = 64 };

enum { WG_UDP_VECTOR = 64, WG_UDP_RANGE = 65536, WG_UDP_CONTROL = 128 };

/* Failures that a test can cause (udpFail): sends with UDP_SEGMENT, sends from a local address, or
 * all sends. */
enum { WG_UDP_FAIL_NONE, WG_UDP_FAIL_GSO, WG_UDP_FAIL_LOCAL, WG_UDP_FAIL_ANY };

union wg_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct wg_udp_control {
  uint8_t bytes[WG_UDP_CONTROL];
} __attribute__((aligned(16)));

/* What recvmmsg or sendmmsg works on. One thread may receive while another one sends. */
struct wg_udp_vector {
  struct mmsghdr messages[WG_UDP_VECTOR];
  struct iovec vectors[WG_UDP_VECTOR];
  union wg_sockaddr addresses[WG_UDP_VECTOR];
  struct wg_udp_control controls[WG_UDP_VECTOR];
};

struct wg_lanes;

struct wg_udp {
  int fds[4]; /* IPv4, IPv6, IPv4 for handshakes, IPv6 for handshakes; -1: none */
  uint16_t port;
  int32_t gso[2], gro[2];
  int32_t can_gso[2];  /* the value of gso when opened */
  int32_t refusals[2]; /* consecutive: of UDP_SEGMENT, while single datagrams were accepted */
  int turn; /* the socket that the next call reads first */
  int32_t fail_what, fail_errno, fail_count;
  uint64_t gso_failed, gso_disabled, gso_paused, local_dropped, blocked, truncated;
  struct wg_lanes *lanes; /* threads that may be sending; NULL: none */
  struct wg_udp_vector in, out;
  int32_t owners[WG_UDP_VECTOR];   /* the descriptor of each message of `out` */
  int32_t segments[WG_UDP_VECTOR]; /* segment size of each message; 0: one datagram */
};

/* Binds `other` to the port of the bound socket `fd`, and steers handshake messages to it. Returns
 * 0 or an errno. After an error, `fd` still receives all messages. */
int wg_udp_steer(int fd, int other, const union wg_sockaddr *address, socklen_t length);

/* Makes each of two sockets accept only its own kind of message. Call it after wg_udp_steer,
 * because the kernel delivers a datagram to a broadcast or multicast address to every socket of the
 * port without running the steering program. Only for sockets with UDP_GRO: for others, the kernel
 * splits joined datagrams after it has chosen a socket, and a part of the other kind would be
 * lost. */
void wg_udp_keep_apart(int fd, int other);
/* Ends wg_udp_keep_apart, for sockets that go on without UDP_GRO. */
void wg_udp_join(int fd, int other);

/* Checks that the descriptors are UDP sockets of the right families on one port, and requests the
 * offloads. Sets the port. Returns 0 or an errno. */
int wg_udp_check(struct wg_udp *udp, int32_t wanted);

/* Sends datagrams. Returns the number of descriptors with an error (DATAGRAM_ERROR). There is room
 * for `count` descriptors and endpoints. */
int32_t wg_udp_send_all(struct wg_udp *udp, uint8_t *slab, size_t length, int32_t *desc, uint8_t *endpoints, int32_t count);

napi_value wg_udp_receive(napi_env env, napi_callback_info info);
napi_value wg_udp_send(napi_env env, napi_callback_info info);

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#endif
