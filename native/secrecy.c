/* Protects the memory of this process, which holds keys, from core dumps and from debuggers of the
 * same user. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* forbidDumps(): forbids dumps until the process ends. Throws system errors. */
static napi_value forbid_dumps(napi_env env, napi_callback_info info) {
  (void)info;
  /* if kernel.core_pattern is a pipe, the kernel ignores RLIMIT_CORE, so this call is needed too */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return wg_throw_errno(env, "prctl", errno);
  struct rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return wg_throw_errno(env, "getrlimit", errno);
  /* the hard limit stays, because hooks inherit it and may dump core */
  limit.rlim_cur = 0;
  return setrlimit(RLIMIT_CORE, &limit) != 0 ? wg_throw_errno(env, "setrlimit", errno) : NULL;
}

static const struct wg_function FUNCTIONS[] = {
    {"forbidDumps", forbid_dumps},
    {NULL, NULL},
};
const struct wg_exports wg_exports_secrecy = {FUNCTIONS, NULL};
