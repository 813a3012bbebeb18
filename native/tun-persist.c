/* Whether a TUN outlives its process (TUNSETPERSIST). The kernel keeps a persistent TUN, with its
 * addresses and routes, after its last descriptor is closed. It has no carrier then, and drops
 * what is sent to it. */
#define _GNU_SOURCE
#include "tun.h"
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

/* tunWasPersistent(handle): returns whether the device was persistent when it was opened, which
 * means that it existed before. */
napi_value wg_tun_was_persistent(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  struct wg_tun *tun;
  if (!wg_arguments(env, info, &argument, 1) || !(tun = wg_handle(env, argument, &WG_TUN_KIND))) return NULL;
  napi_get_boolean(env, tun->persistent != 0, &result);
  return result;
}

/* tunPersist(handle, on): makes the device persistent, or temporary again. */
napi_value wg_tun_persist(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct wg_tun *tun;
  int32_t on;
  if (!wg_arguments(env, info, arguments, 2) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) || !wg_int(env, arguments[1], &on))
    return NULL;
  if (ioctl(tun->fd, TUNSETPERSIST, on ? 1ul : 0ul) != 0) return wg_throw_errno(env, "TUNSETPERSIST", errno);
  return wg_undefined(env);
}
