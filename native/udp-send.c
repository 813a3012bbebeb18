/* Sends with sendmmsg. With UDP_SEGMENT, a message carries up to 64 datagrams of one peer. If the
 * kernel refuses a message, this retries it from another local address and without UDP_SEGMENT, and
 * then continues with the rest of the batch. */
#include "udp.h"
#include "bytes.h"
#include "lanes.h"
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

/* The kernel's limits for one message: UDP_MAX_SEGMENTS, and a UDP payload that fits into an IPv4
 * packet. IPv6 accepts a larger payload if it is a single datagram (src/packet/transport.ts). */
enum { MAX_SEGMENTS = 64, MAX_PAYLOAD = 65507, LARGEST_DATAGRAM = 65527 };
/* Milliseconds per wait for a full socket buffer, and waits in one call. */
enum { WAIT_STEP = 2, WAIT_STEPS = 10 };

struct sending {
  struct wg_udp *udp;
  uint8_t *slab;
  int32_t *desc;
  uint8_t *endpoints;
  int count;      /* messages prepared and not yet sent */
  int family;     /* of the prepared messages */
  int waits_left;
};

struct part {
  int32_t offset, length, segment;
};

static void *add_control(struct msghdr *header, int level, int type, const void *data, size_t size) {
  struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)header->msg_control + header->msg_controllen);
  memset(c, 0, CMSG_SPACE(size));
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(c), data, size);
  header->msg_controllen += CMSG_SPACE(size);
  return c;
}

/* Prepares message m of the vector with one part of descriptor i. Uses UDP_SEGMENT if the part has
 * several segments. */
static void make(struct sending *s, int m, int i, struct part part) {
  struct wg_udp *udp = s->udp;
  const int32_t *d = s->desc + (size_t)i * DATAGRAM_STRIDE;
  const uint8_t *e = s->endpoints + (size_t)i * ENDPOINT_SIZE;
  union wg_sockaddr *to = &udp->out.addresses[m];
  struct msghdr *header = &udp->out.messages[m].msg_hdr;
  int six = e[ENDPOINT_FAMILY] == 6;
  memset(to, 0, sizeof *to);
  if (six) {
    to->v6.sin6_family = AF_INET6;
    memcpy(&to->v6.sin6_port, e + ENDPOINT_PORT, 2);
    memcpy(&to->v6.sin6_addr, e + ENDPOINT_ADDRESS, 16);
    to->v6.sin6_scope_id = (uint32_t)wg_le16(e + ENDPOINT_SCOPE) | (uint32_t)wg_le16(e + ENDPOINT_SCOPE + 2) << 16;
  } else {
    to->v4.sin_family = AF_INET;
    memcpy(&to->v4.sin_port, e + ENDPOINT_PORT, 2);
    memcpy(&to->v4.sin_addr, e + ENDPOINT_ADDRESS, 4);
  }
  udp->out.vectors[m] = (struct iovec){s->slab + part.offset, (size_t)part.length};
  *header = (struct msghdr){
      .msg_name = to,
      .msg_namelen = six ? sizeof to->v6 : sizeof to->v4,
      .msg_iov = &udp->out.vectors[m],
      .msg_iovlen = 1,
      .msg_control = &udp->out.controls[m],
  };
  if (e[ENDPOINT_HAS_LOCAL] == 1 && six) {
    struct in6_pktinfo local = {0};
    memcpy(&local.ipi6_addr, e + ENDPOINT_LOCAL, 16);
    add_control(header, SOL_IPV6, IPV6_PKTINFO, &local, sizeof local);
  } else if (e[ENDPOINT_HAS_LOCAL] == 1) {
    /* leave the interface zero, so that routing chooses it */
    struct in_pktinfo local = {0};
    memcpy(&local.ipi_spec_dst, e + ENDPOINT_LOCAL, 4);
    add_control(header, SOL_IP, IP_PKTINFO, &local, sizeof local);
  }
  if (d[DATAGRAM_TOS] > 0) {
    int tos = d[DATAGRAM_TOS] & 0xff;
    add_control(header, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TCLASS : IP_TOS, &tos, sizeof tos);
  }
  if (part.segment > 0) {
    uint16_t segment = (uint16_t)part.segment;
    add_control(header, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  }
  if (header->msg_controllen == 0) header->msg_control = NULL;
  udp->owners[m] = i;
  udp->segments[m] = part.segment;
}

/* Returns the errno that a test set for this message, or 0. */
static int injected(struct wg_udp *udp, const struct sending *s, int i, int segmented) {
  if (udp->fail_count <= 0) return 0;
  int local = s->endpoints[(size_t)i * ENDPOINT_SIZE + ENDPOINT_HAS_LOCAL] == 1;
  int hit = udp->fail_what == WG_UDP_FAIL_ANY || (udp->fail_what == WG_UDP_FAIL_GSO && segmented) ||
            (udp->fail_what == WG_UDP_FAIL_LOCAL && local);
  if (!hit) return 0;
  udp->fail_count--;
  return udp->fail_errno;
}

/* Waits briefly for space in the socket's buffer. Returns 0 if no waits are left for this call. */
static int wait_for_room(struct sending *s, int fd) {
  struct pollfd ready = {.fd = fd, .events = POLLOUT};
  s->udp->blocked++;
  while (s->waits_left > 0) {
    s->waits_left--;
    if (poll(&ready, 1, WAIT_STEP) > 0) return 1;
  }
  return 0;
}

/* Sends one message from place 0 of the vector, which must be unused. Returns 0 or an errno. */
static int send_one(struct sending *s, int i, struct part part) {
  int fd = s->udp->fds[s->endpoints[(size_t)i * ENDPOINT_SIZE + ENDPOINT_FAMILY] == 6];
  for (;;) {
    int err = injected(s->udp, s, i, part.segment > 0);
    if (err) return err;
    make(s, 0, i, part);
    if (sendmsg(fd, &s->udp->out.messages[0].msg_hdr, 0) >= 0) return 0;
    err = errno;
    if (err == EINTR) continue;
    if (err != EAGAIN || !wait_for_room(s, fd)) return err;
  }
}

static int is_offload_trouble(int err) { return err == EIO || err == EINVAL || err == EMSGSIZE || err == EOPNOTSUPP; }
static int is_local_trouble(int err) {
  return err == EINVAL || err == EADDRNOTAVAIL || err == ENETUNREACH || err == EHOSTUNREACH || err == EPERM || err == ENODEV;
}

/* Reports whether to retry from another address. This message may have been prepared before another
 * part of its descriptor found the address unusable. */
static int drop_local(struct sending *s, int i, int err) {
  uint8_t *local = s->endpoints + (size_t)i * ENDPOINT_SIZE + ENDPOINT_HAS_LOCAL;
  if (*local == 0 || !is_local_trouble(err)) return 0;
  if (*local == 1) s->udp->local_dropped++;
  *local = LOCAL_DROPPED;
  return 1;
}

/* Disables UDP_SEGMENT until udpRetry, and increments *times. */
static void stop_segmenting(struct wg_udp *udp, int f, uint64_t *times) {
  if (!udp->gso[f]) return;
  udp->gso[f] = 0;
  ++*times;
}

/* Retries a message that the kernel refused with `err`, in every way that may help. Uses place 0 of
 * the vector. */
static void send_carefully(struct sending *s, int i, struct part part, int err) {
  struct wg_udp *udp = s->udp;
  int f = s->endpoints[(size_t)i * ENDPOINT_SIZE + ENDPOINT_FAMILY] == 6;
  struct part one = part;
  if (part.segment > 0 && is_offload_trouble(err)) {
    /* send the first datagram alone, to find out whether segmentation or the address is the
     * cause */
    udp->gso_failed++;
    /* no checksum offload, or no such call: all segmented messages fail until the route changes */
    if (err == EIO || err == EOPNOTSUPP) stop_segmenting(udp, f, &udp->gso_disabled);
  } else if (drop_local(s, i, err)) {
    err = send_one(s, i, part);
    if (!err) return;
    if (part.segment == 0 || !is_offload_trouble(err)) {
      s->desc[(size_t)i * DATAGRAM_STRIDE + DATAGRAM_ERROR] = err;
      return;
    }
    udp->gso_failed++;
  } else {
    s->desc[(size_t)i * DATAGRAM_STRIDE + DATAGRAM_ERROR] = err;
    return;
  }
  int taken = 0;
  for (int32_t at = 0; at < part.length; at += part.segment) {
    one.offset = part.offset + at;
    one.length = part.length - at < part.segment ? part.length - at : part.segment;
    one.segment = 0;
    err = send_one(s, i, one);
    if (err && drop_local(s, i, err)) err = send_one(s, i, one);
    if (err) s->desc[(size_t)i * DATAGRAM_STRIDE + DATAGRAM_ERROR] = err;
    else taken = 1;
  }
  if (taken && ++udp->refusals[f] >= WG_UDP_REFUSALS) stop_segmenting(udp, f, &udp->gso_paused);
}

/* The kernel accepted a segmented message: resets the count of consecutive refusals. */
static void forgive(struct wg_udp *udp, int f, int from, int count) {
  for (int m = from; m < from + count; m++)
    if (udp->segments[m] > 0) udp->refusals[f] = 0;
}

static void flush(struct sending *s) {
  struct wg_udp *udp = s->udp;
  int fd = udp->fds[s->family];
  int total = s->count, done = 0;
  s->count = 0;
  while (done < total) {
    int err = 0, i = udp->owners[done];
    struct part part = {0, (int32_t)udp->out.vectors[done].iov_len, udp->segments[done]};
    if (udp->fail_count > 0) err = injected(udp, s, i, part.segment > 0);
    if (!err) {
      int sent = sendmmsg(fd, udp->out.messages + done, (unsigned)(udp->fail_count > 0 ? 1 : total - done), 0);
      if (sent > 0) {
        if (udp->refusals[s->family]) forgive(udp, s->family, done, sent);
        done += sent;
        continue;
      }
      err = sent < 0 ? errno : EIO;
    }
    if (err == EINTR || (err == EAGAIN && wait_for_room(s, fd))) continue;
    part.offset = (int32_t)((uint8_t *)udp->out.vectors[done].iov_base - s->slab);
    /* place 0 is unused: its message was sent, or it is this message */
    send_carefully(s, i, part, err);
    done++;
  }
}

static void add(struct sending *s, int i, struct part part) {
  if (s->count == WG_UDP_VECTOR) flush(s);
  make(s, s->count++, i, part);
}

static void add_all(struct sending *s, int i, size_t slab_length) {
  int32_t *d = s->desc + (size_t)i * DATAGRAM_STRIDE;
  uint8_t family = s->endpoints[(size_t)i * ENDPOINT_SIZE];
  int32_t offset = d[DATAGRAM_OFFSET], length = d[DATAGRAM_LENGTH], segment = d[DATAGRAM_SEGMENT];
  int f = family == 6;
  d[DATAGRAM_ERROR] = 0;
  if (offset < 0 || length < 0 || (size_t)offset + (size_t)length > slab_length || segment < 0 || segment > LARGEST_DATAGRAM)
    d[DATAGRAM_ERROR] = EINVAL;
  else if ((family != 4 && family != 6) || s->udp->fds[f] < 0)
    d[DATAGRAM_ERROR] = EAFNOSUPPORT;
  if (d[DATAGRAM_ERROR]) return;
  if (s->count && s->family != f) flush(s);
  s->family = f;
  if (segment == 0 || segment >= length) {
    add(s, i, (struct part){offset, length, 0});
    return;
  }
  int32_t segments = MAX_PAYLOAD / segment < MAX_SEGMENTS ? MAX_PAYLOAD / segment : MAX_SEGMENTS;
  if (segments < 1) segments = 1; /* a step of 0 would never end */
  int32_t step = s->udp->gso[f] ? segments * segment : segment;
  for (int32_t at = 0; at < length; at += step) {
    int32_t here = length - at < step ? length - at : step;
    add(s, i, (struct part){offset + at, here, here > segment ? segment : 0});
  }
}

int32_t wg_udp_send_all(struct wg_udp *udp, uint8_t *slab, size_t length, int32_t *desc, uint8_t *endpoints, int32_t count) {
  int32_t errors = 0;
  struct sending s = {.udp = udp, .slab = slab, .desc = desc, .endpoints = endpoints, .waits_left = WAIT_STEPS};
  for (int i = 0; i < count; i++) add_all(&s, i, length);
  flush(&s);
  for (int i = 0; i < count; i++) errors += desc[(size_t)i * DATAGRAM_STRIDE + DATAGRAM_ERROR] != 0;
  return errors;
}

/* udpSend(handle, slab, desc, endpoints, count): sends datagrams. Returns the number of descriptors
 * with an error (DATAGRAM_ERROR). */
napi_value wg_udp_send(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  struct wg_udp *udp;
  struct wg_array slab, desc, endpoints;
  int32_t count;
  if (!wg_arguments(env, info, arguments, 5) || !(udp = wg_handle(env, arguments[0], &WG_UDP_KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &slab) || !wg_array(env, arguments[2], napi_int32_array, &desc) ||
      !wg_array(env, arguments[3], napi_uint8_array, &endpoints) || !wg_int(env, arguments[4], &count))
    return NULL;
  if (count < 0 || (size_t)count > desc.length / DATAGRAM_STRIDE || (size_t)count > endpoints.length / ENDPOINT_SIZE)
    return wg_throw_type(env, "more datagrams than descriptors");
  wg_lanes_settle(udp->lanes);
  return wg_number(env, wg_udp_send_all(udp, slab.data, slab.length, desc.data, endpoints.data, count));
}
