/* One open TUN device. tun.c opens and reads, tun-write.c writes, tun-status.c asks how it is. */
#ifndef WG_TUN_H
#define WG_TUN_H
#include "addon.h"
#include <stdint.h>

static const napi_type_tag WG_TUN_KIND = {WG_TAG, 0x77672d74756e3031};

/* Offloads, as asked for and as granted; the same bits in src/io/tun.ts. */
enum { WG_TUN_CSUM = 1, WG_TUN_TSO4 = 2, WG_TUN_TSO6 = 4, WG_TUN_USO = 8, WG_TUN_SINGLE_UDP = 16 };

/* Kinds of merged packets, each refused or not by itself, and how many refusals in a row end the attempts. */
enum { WG_TUN_KINDS = 3, WG_TUN_REFUSALS = 64 };

/* What a test can make fail (tunFail). */
enum { WG_TUN_FAIL_NONE, WG_TUN_FAIL_MERGED };

struct wg_tun {
  int fd;            /* -1 when closed */
  int32_t offloads;
  int32_t vnet;      /* whether reads and writes carry a virtio_net_hdr */
  int32_t info;      /* whether they carry a tun_pi in front: an adopted device without IFF_NO_PI */
  uint64_t quiet_in; /* inode of the network namespace in which it was made silent */
  int32_t quiet;     /* 0 not yet; 1 by itself; 2 since it was up, with what is the namespace's */
  int32_t ours;      /* made by us, not adopted */
  uint64_t home;     /* inode of the network namespace this process was in when it opened; 0 not known */
  int control;       /* a socket there, for ioctls by name */
  int32_t mtu;       /* last seen */
  int32_t fail_what, fail_errno, fail_count;
  int32_t refusals[WG_TUN_KINDS]; /* in a row, of merged packets of a kind whose parts were taken */
  int32_t pausing;                /* WG_MERGE_* that are not merged until tunRetry */
  uint64_t merged, unmerged, paused, refused, malformed;
};

/* control: a socket in the namespace of the calling thread, in which the device is. */
void wg_tun_quiet(int control, const char *name, int made_by_us);
/* Once the device is up: what concerns the whole namespace. Returns whether it was. */
int wg_tun_quiet_up(int control, const char *name);
/* Looks where the device is, learns its MTU, and makes it silent where it is new. Returns whether it is where it was opened. */
int wg_tun_look(struct wg_tun *tun, const char *name);

napi_value wg_tun_write(napi_env env, napi_callback_info info);
napi_value wg_tun_write_groups(napi_env env, napi_callback_info info);
napi_value wg_tun_retry(napi_env env, napi_callback_info info);
napi_value wg_tun_status(napi_env env, napi_callback_info info);
#endif
