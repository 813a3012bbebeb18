/* Keeps this process's memory, where keys are, from core dumps and from debuggers of the same user. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* forbidDumps(): for good. Throws what the system said. */
static napi_value forbid_dumps(napi_env env, napi_callback_info info) {
  (void)info;
  /* without PR_SET_DUMPABLE a kernel.core_pattern that is a pipe gets the memory whatever the limit is */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return wg_throw_errno(env, "prctl", errno);
  struct rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return wg_throw_errno(env, "getrlimit", errno);
  /* the hard limit stays: hooks inherit it, and whether they dump is their own affair */
  limit.rlim_cur = 0;
  return setrlimit(RLIMIT_CORE, &limit) != 0 ? wg_throw_errno(env, "setrlimit", errno) : NULL;
}

void wg_export_secrecy(napi_env env, napi_value exports) { wg_export(env, exports, "forbidDumps", forbid_dumps); }
