/* One open TUN device. tun.c opens and reads, tun-write.c writes, tun-status.c reports its status,
 * tun-quiet.c silences it. */
#ifndef WG_TUN_H
#define WG_TUN_H
#include "addon.h"
#include <stdint.h>

static const napi_type_tag WG_TUN_KIND = {WG_TAG, 0x77672d74756e3031};

/* Offloads, requested and granted; the same bits as in src/io/tun.ts. */
enum { WG_TUN_CSUM = 1, WG_TUN_TSO4 = 2, WG_TUN_TSO6 = 4, WG_TUN_USO = 8, WG_TUN_SINGLE_UDP = 16 };

/* Kinds of merged packets, which the kernel refuses separately, and how many refusals in a row end
 * the attempts. */
enum { WG_TUN_KINDS = 3, WG_TUN_REFUSALS = 64 };

/* What a test can cause to fail (tunFail). */
enum { WG_TUN_FAIL_NONE, WG_TUN_FAIL_MERGED };

struct wg_tun {
  int fd;            /* -1 when closed */
  int32_t offloads;
  int32_t vnet;      /* whether reads and writes carry a virtio_net_hdr */
  int32_t info;      /* whether they carry a tun_pi in front: an adopted device without IFF_NO_PI */
  uint64_t quiet_in; /* inode of the network namespace in which it was silenced */
  int32_t quiet;     /* 0: not yet; 1: the device; 2: the namespace as well, since the device came up */
  int32_t ours;      /* created here, not adopted */
  uint64_t home;     /* inode of the network namespace of this process at the opening; 0: unknown */
  int control;       /* a socket there, for ioctls by name */
  int32_t mtu;       /* last seen */
  int32_t fail_what, fail_errno, fail_count;
  int32_t refusals[WG_TUN_KINDS]; /* in a row, of merged packets whose parts the kernel accepted */
  int32_t pausing;                /* WG_MERGE_* that are not merged until tunRetry */
  uint64_t merged, unmerged, paused, refused, malformed;
};

/* Silences a device. control: a socket in the namespace of the calling thread, where the device
 * is. */
void wg_tun_quiet(int control, const char *name, int made_by_us);
/* Applies the settings of the whole namespace if the device is up. Returns whether it is up. */
int wg_tun_quiet_up(int control, const char *name);
/* Finds the device's namespace, reads its MTU, and silences it in a new namespace. Returns whether
 * it is still in the namespace where it was opened. */
int wg_tun_look(struct wg_tun *tun, const char *name);

napi_value wg_tun_write(napi_env env, napi_callback_info info);
napi_value wg_tun_write_groups(napi_env env, napi_callback_info info);
napi_value wg_tun_retry(napi_env env, napi_callback_info info);
napi_value wg_tun_status(napi_env env, napi_callback_info info);
#endif
