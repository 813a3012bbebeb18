/* Locks of open files (flock(2)). The kernel frees a lock with the last descriptor of the open
 * file, so also when the process is killed. */
#include "addon.h"
#include <errno.h>
#include <sys/file.h>

/* fileLock(descriptor): takes the lock. Returns whether it did; false if another open file of the
 * same file has it. Throws system errors. */
static napi_value file_lock(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  int32_t fd;
  int failed;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &fd)) return NULL;
  do failed = flock(fd, LOCK_EX | LOCK_NB) != 0; while (failed && errno == EINTR);
  if (failed && errno != EWOULDBLOCK) return wg_throw_errno(env, "flock", errno);
  napi_get_boolean(env, !failed, &result);
  return result;
}

static const struct wg_function FUNCTIONS[] = {
    {"fileLock", file_lock},
    {NULL, NULL},
};
const struct wg_exports wg_exports_file_lock = {FUNCTIONS, NULL};
