/* State of one open TUN device. tun.c opens and reads, tun-offloads.c requests offloads,
 * tun-write.c writes, tun-status.c reports the status, tun-overlay.c looks for VXLAN, tun-quiet.c
 * stops the device's own traffic, tun-persist.c lets it outlive the process. */
#ifndef WG_TUN_H
#define WG_TUN_H
#include "addon.h"
#include "offload.h"
#include <stdint.h>

static const napi_type_tag WG_TUN_KIND = {WG_TAG, 0x77672d74756e3031};

/* Offloads, as requested and as granted; the same bits as in src/io/tun.ts. */
enum { WG_TUN_CSUM = 1, WG_TUN_TSO4 = 2, WG_TUN_TSO6 = 4, WG_TUN_USO = 8, WG_TUN_SINGLE_UDP = 16, WG_TUN_UDPTNL = 32 };

/* WG_TUN_KINDS: kinds of merged packets; the kernel may refuse each kind separately.
 * WG_TUN_REFUSALS: this many consecutive refusals pause merging of a kind. */
enum { WG_TUN_KINDS = 4, WG_TUN_REFUSALS = 64 };

/* Failures that a test can cause (tunFail). */
enum { WG_TUN_FAIL_NONE, WG_TUN_FAIL_MERGED };

/* Where a device is: in the namespace where it was opened, in another, or in another that this
 * process may not enter; the same as in src/io/tun.ts. */
enum { WG_TUN_HIDDEN = -1, WG_TUN_AWAY = 0, WG_TUN_HOME = 1 };

struct wg_lanes;

struct wg_tun {
  int fd;            /* -1 when closed */
  int32_t offloads;
  int32_t vnet;      /* bytes of the virtio_net_hdr that reads and writes carry; 0: none */
  int32_t info;      /* whether a tun_pi precedes each packet: an adopted device without IFF_NO_PI */
  uint64_t quiet_in; /* inode of the network namespace where wg_tun_quiet was called */
  uint64_t barred_in; /* inode of the last namespace that this process could not enter; 0: none */
  int32_t quiet;     /* 0: not quiet yet; 1: the device is; 2: also the namespace, after the device came up */
  int32_t ours;      /* created here, not adopted */
  int32_t persistent; /* when it was opened (IFF_PERSIST) */
  uint64_t home;     /* inode of the network namespace where it was opened; 0: unknown */
  struct wg_lanes *lanes; /* threads that may be writing; NULL: none */
  int control;       /* a socket in the `home` namespace, for ioctls by name */
  int32_t mtu;       /* last seen */
  int32_t fail_what, fail_errno, fail_count;
  int32_t refusals[WG_TUN_KINDS]; /* consecutive: merged packets whose parts the kernel accepted */
  int32_t pausing;                /* WG_MERGE_* kinds that are not merged until tunRetry */
  struct wg_overlay overlay; /* as last found; no port after a change, until the next look */
  int32_t overlay_known;
  uint64_t merged, unmerged, paused, refused, malformed;
};

/* Requests the offloads and sets the size of the vnet header. Returns the granted ones. */
int32_t wg_tun_ask_offloads(struct wg_tun *tun, int32_t wanted);
/* Stops the device's own traffic. `control` is a socket in the namespace of the device, where the
 * calling thread must be too. */
void wg_tun_quiet(int control, const char *name, int made_by_us);
/* If the device is up, applies the settings of the whole namespace. Returns whether it is up. */
int wg_tun_quiet_up(int control, const char *name);
/* Looks for a VXLAN device in the namespace where the TUN was opened, and sets tun->overlay. */
void wg_tun_find_overlay(struct wg_tun *tun, const char *name);
/* Finds the device's namespace and reads its MTU. In a new namespace, also calls wg_tun_quiet.
 * Returns where it is (WG_TUN_HOME, ...). While it is hidden, its MTU stays what it was. */
int wg_tun_look(struct wg_tun *tun, const char *name);

/* Merges and writes packets. Returns the number of dropped packets, or -1 if the device is gone.
 * May change the slab. */
int64_t wg_tun_write_all(struct wg_tun *tun, uint8_t *slab, size_t length, const int32_t *desc, int32_t count);

napi_value wg_tun_write(napi_env env, napi_callback_info info);
napi_value wg_tun_write_groups(napi_env env, napi_callback_info info);
napi_value wg_tun_retry(napi_env env, napi_callback_info info);
napi_value wg_tun_fail(napi_env env, napi_callback_info info);
napi_value wg_tun_counters(napi_env env, napi_callback_info info);
napi_value wg_tun_status(napi_env env, napi_callback_info info);
napi_value wg_tun_was_persistent(napi_env env, napi_callback_info info);
napi_value wg_tun_persist(napi_env env, napi_callback_info info);
#endif
