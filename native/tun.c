/* A Linux TUN device (Documentation/networking/tuntap.rst). It is created here, or adopted as an
 * open descriptor. What is read begins with a virtio_net_hdr, so that the kernel can deliver a
 * whole TCP super-packet in one read. */
#define _GNU_SOURCE
#include "tun.h"
#include "lanes.h"
#include "offload.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* LARGEST_READ: the largest packet is an IPv6 header with the largest payload. ROOM has one more
 * byte, which shows whether a packet was truncated, and space for the larger vnet header. */
enum { PI_SIZE = 4, LARGEST_READ = WG_VNET_HEADER_SIZE + 40 + 65535, SHIFT = WG_VNET_TUNNEL_SIZE - WG_VNET_HEADER_SIZE };
enum { ROOM = LARGEST_READ + 1 + SHIFT };

/* Length of the TUN's queue in packets: the kernel's default and ours (measured:
 * docs/performance.md#where-udp-is-lost). */
enum { TUN_QUEUE = 500, DEVICE_QUEUE = 2000 };

static void close_tun(struct wg_tun *tun) {
  wg_lanes_settle(tun->lanes);
  if (tun->fd >= 0) close(tun->fd);
  if (tun->control >= 0) close(tun->control);
  tun->fd = tun->control = -1;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  struct wg_tun *tun = data;
  close_tun(tun);
  wg_lanes_unref(tun->lanes);
  free(tun);
}

static int set_mtu(int control, const char *name, int mtu) {
  struct ifreq request = {.ifr_mtu = mtu};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  return ioctl(control, SIOCSIFMTU, &request);
}

/* Lengthens the queue from the default of 500 packets. The default holds 3 ms of small packets, and
 * a busy core may delay us longer. It also holds only ten super-packets that a vxlan device splits.
 * A length that another program set is kept. If the kernel refuses, the device works with the short
 * queue. */
static void lengthen_queue(int control, const char *name) {
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFTXQLEN, &request) != 0 || request.ifr_qlen != TUN_QUEUE) return;
  request.ifr_qlen = DEVICE_QUEUE;
  ioctl(control, SIOCSIFTXQLEN, &request);
}

/* What one process knows of a device and the next must know too, so that it does not undo settings
 * that the user has changed since: ours, quiet, quiet_in, mtu of struct wg_tun. */
enum { KEPT_OURS, KEPT_QUIET, KEPT_QUIET_IN, KEPT_MTU, KEPT_SIZE };

/* Creates or adopts a device. `kept` is NULL, or what the previous process knew of it. Returns 0,
 * or an errno with the name of the call in *call. */
static int open_tun(struct wg_tun *tun, const char *name, int32_t adopt, int32_t wanted, int32_t mtu, const int32_t *kept,
                    const char **call) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
  int header = WG_VNET_HEADER_SIZE, little = 1;
  *call = "open /dev/net/tun";
  tun->fd = adopt >= 0 ? adopt : open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun->fd < 0) return errno;
  if (adopt < 0) {
    *call = "TUNSETIFF";
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    if (ioctl(tun->fd, TUNSETIFF, &request) != 0) return errno;
  }
  *call = "TUNGETIFF";
  if (ioctl(tun->fd, TUNGETIFF, &request) != 0) return errno;
  if (!(request.ifr_flags & IFF_TUN)) return EPROTOTYPE; /* a TAP: we do not handle Ethernet frames */
  /* a device that we created is not persistent yet: this one existed before */
  tun->persistent = (request.ifr_flags & IFF_PERSIST) != 0;
  tun->vnet = request.ifr_flags & IFF_VNET_HDR ? header : 0;
  tun->info = !(request.ifr_flags & IFF_NO_PI);
  *call = "fcntl";
  int flags = fcntl(tun->fd, F_GETFL);
  if (flags < 0 || fcntl(tun->fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(tun->fd, F_SETFD, FD_CLOEXEC) != 0) return errno;
  *call = "TUNSETVNETHDRSZ";
  if (tun->vnet && ioctl(tun->fd, TUNSETVNETHDRSZ, &header) != 0) return errno;
  /* we use little endian, as does every machine whose kernel lacks this call */
  if (tun->vnet) ioctl(tun->fd, TUNSETVNETLE, &little);
  if (tun->vnet) tun->offloads = wg_tun_ask_offloads(tun, wanted);
  *call = "socket";
  tun->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (tun->control < 0) tun->control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (tun->control < 0) return errno;
  struct stat home;
  if (stat("/proc/self/ns/net", &home) == 0) tun->home = home.st_ino;
  /* an adopted device may be in another namespace; its owner sets the MTU */
  *call = "SIOCSIFMTU";
  if (mtu > 0 && set_mtu(tun->control, request.ifr_name, mtu) != 0 && adopt < 0) return errno;
  tun->mtu = mtu;
  tun->ours = adopt < 0 && !tun->persistent;
  if (kept) {
    tun->ours = kept[KEPT_OURS];
    tun->quiet = kept[KEPT_QUIET];
    /* the kernel gives namespaces inodes of 32 bits */
    tun->quiet_in = (uint32_t)kept[KEPT_QUIET_IN];
    tun->mtu = kept[KEPT_MTU];
  }
  wg_tun_look(tun, request.ifr_name);
  if (adopt < 0) lengthen_queue(tun->control, request.ifr_name);
  return 0;
}

/* Returns a handle, or NULL with an exception pending; then the caller still owns an adopted
 * descriptor. */
static napi_value make_tun(napi_env env, const char *name, int32_t adopt, int32_t wanted, int32_t mtu, const int32_t *kept) {
  napi_value result = NULL;
  struct wg_tun *tun = calloc(1, sizeof *tun);
  if (!tun) return wg_throw_errno(env, "calloc", ENOMEM);
  *tun = (struct wg_tun){.fd = -1, .control = -1};
  const char *call;
  int err = open_tun(tun, name, adopt, wanted, mtu, kept, &call);
  if (err || !(result = wg_make_handle(env, tun, release, &WG_TUN_KIND))) {
    if (err && adopt >= 0) tun->fd = -1;
    release(env, tun, NULL);
    return err ? wg_throw_errno(env, call, err) : NULL;
  }
  return result;
}

/* tunOpen(name, adopt, offloads, mtu): returns a handle. `adopt` is -1, or the descriptor of an
 * open TUN, which the handle then owns. */
static napi_value tun_open(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int32_t adopt, wanted, mtu;
  char name[IFNAMSIZ * 2];
  size_t length;
  if (!wg_arguments(env, info, arguments, 4) || !wg_int(env, arguments[1], &adopt) || !wg_int(env, arguments[2], &wanted) ||
      !wg_int(env, arguments[3], &mtu))
    return NULL;
  if (napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &length) != napi_ok) return wg_throw_type(env, "not a string");
  if (length >= IFNAMSIZ) return wg_throw_errno(env, "TUNSETIFF", EINVAL);
  return make_tun(env, name, adopt, wanted, mtu, NULL);
}

/* tunAdopt(descriptor, offloads, kept): returns a handle, which then owns the descriptor of a TUN
 * that another process ran until now. `kept` is what tunKept wrote there. */
static napi_value tun_adopt(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct wg_array kept;
  int32_t fd, wanted;
  if (!wg_arguments(env, info, arguments, 3) || !wg_int(env, arguments[0], &fd) || !wg_int(env, arguments[1], &wanted) ||
      !wg_array(env, arguments[2], napi_int32_array, &kept))
    return NULL;
  if (kept.length < KEPT_SIZE || fd < 0) return wg_throw_errno(env, "adopt TUN", EINVAL);
  return make_tun(env, "", fd, wanted, 0, kept.data);
}

/* tunKept(handle, out): writes to `out` what tunAdopt of the next process needs. */
static napi_value tun_kept(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_tun *tun;
  struct wg_array out;
  if (!wg_arguments(env, info, arguments, 2) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_int32_array, &out))
    return NULL;
  if (out.length < KEPT_SIZE) return wg_throw_type(env, "out has no room for 4 numbers");
  int32_t *to = out.data;
  to[KEPT_OURS] = tun->ours;
  to[KEPT_QUIET] = tun->quiet;
  to[KEPT_QUIET_IN] = (int32_t)(uint32_t)tun->quiet_in;
  to[KEPT_MTU] = tun->mtu;
  return wg_undefined(env);
}

/* tunFd(handle): returns the descriptor for pollStart; -1 when closed. */
static napi_value tun_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_tun *tun;
  if (!wg_arguments(env, info, &argument, 1) || !(tun = wg_handle(env, argument, &WG_TUN_KIND))) return NULL;
  return wg_number(env, tun->fd);
}

/* Reads one packet into `to`, which has ROOM bytes, so that its vnet header of WG_VNET_HEADER_SIZE
 * begins at to + SHIFT. Returns the length of both, or -errno. */
static ssize_t read_one(struct wg_tun *tun, uint8_t *to) {
  uint8_t pi[PI_SIZE];
  uint8_t *packet = to + WG_VNET_TUNNEL_SIZE, *vnet = packet - WG_VNET_HEADER_SIZE;
  struct iovec vectors[2] = {{pi, sizeof pi}, {packet - tun->vnet, (size_t)(ROOM - WG_VNET_TUNNEL_SIZE + tun->vnet)}};
  size_t front = tun->info ? PI_SIZE : 0;
  ssize_t got;
  do got = front ? readv(tun->fd, vectors, 2) : read(tun->fd, vectors[1].iov_base, vectors[1].iov_len);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  if (tun->vnet == WG_VNET_TUNNEL_SIZE) {
    if (to[1] & (WG_GSO_UDP_TUNNEL_IPV4 | WG_GSO_UDP_TUNNEL_IPV6)) memcpy(to + WG_VNET_HDR_LEN, to + WG_VNET_INNER_OFFSET, 2);
    memcpy(vnet, to, WG_VNET_HEADER_SIZE);
  } else if (!tun->vnet) {
    memset(vnet, 0, WG_VNET_HEADER_SIZE);
  }
  return got - (ssize_t)front - tun->vnet + WG_VNET_HEADER_SIZE;
}

/* tunRead(handle, slab, desc, most): reads packets into the slab, until none are left, `most` reads
 * were made, or the slab or `desc` is full. Returns the number of packets; -1 if the device is
 * gone. A read without a valid packet also counts, so that a flood of such reads ends the loop. */
static napi_value tun_read(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_tun *tun;
  struct wg_array slab, desc;
  int32_t most;
  if (!wg_arguments(env, info, arguments, 4) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_uint8_array, &slab) || !wg_array(env, arguments[2], napi_int32_array, &desc) ||
      !wg_int(env, arguments[3], &most))
    return NULL;
  if (tun->fd < 0) return wg_number(env, -1);
  int64_t count = 0;
  size_t at = 0;
  int32_t *to = desc.data;
  int64_t room = (int64_t)(desc.length / WG_PACKET_STRIDE);
  if (room > most) room = most;
  for (int64_t asked = 0; asked < room && slab.length <= INT32_MAX && at <= slab.length && slab.length - at >= ROOM; asked++) {
    ssize_t got = read_one(tun, (uint8_t *)slab.data + at);
    if (got == -EAGAIN) break;
    /* EINVAL: the kernel could not describe the packet in a vnet header; only this packet is
     * lost */
    if (got < 0 && got != -EINVAL && count == 0) return wg_number(env, -1);
    if (got < 0 && got != -EINVAL) break; /* return the packets read so far; the next call gets the error again */
    if (got <= WG_VNET_HEADER_SIZE || got > LARGEST_READ) {
      tun->malformed++;
      continue;
    }
    to[WG_PACKET_OFFSET] = (int32_t)at + SHIFT;
    to[WG_PACKET_LENGTH] = (int32_t)got;
    to += WG_PACKET_STRIDE;
    count++;
    at += (SHIFT + (size_t)got + 15) & ~(size_t)15;
  }
  return wg_number(env, count);
}

/* tunClose(handle): closes the device. May be called again. Stop polling first. */
static napi_value tun_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_tun *tun;
  if (!wg_arguments(env, info, &argument, 1) || !(tun = wg_handle(env, argument, &WG_TUN_KIND))) return NULL;
  close_tun(tun);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"tunOpen", tun_open},
    {"tunAdopt", tun_adopt},
    {"tunKept", tun_kept},
    {"tunFd", tun_fd},
    {"tunRead", tun_read},
    {"tunWrite", wg_tun_write},
    {"tunWriteGroups", wg_tun_write_groups},
    {"tunRetry", wg_tun_retry},
    {"tunStatus", wg_tun_status},
    {"tunWasPersistent", wg_tun_was_persistent},
    {"tunPersist", wg_tun_persist},
    {"tunCounters", wg_tun_counters},
    {"tunFail", wg_tun_fail},
    {"tunClose", tun_close},
    {NULL, NULL},
};
const struct wg_exports wg_exports_tun = {FUNCTIONS, NULL};
