/* The kernel's own log as records (/dev/kmsg, Documentation/ABI/testing/dev-kmsg), from its end on.
 * Node cannot move the position of a file. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* kernelLogOpen(path): returns a descriptor, which the caller owns. Throws system errors: EPERM
 * without CAP_SYSLOG where kernel.dmesg_restrict is 1, ENOENT in containers. */
static napi_value kernel_log_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  char path[64];
  size_t length;
  if (!wg_arguments(env, info, &argument, 1)) return NULL;
  if (napi_get_value_string_utf8(env, argument, path, sizeof path, &length) != napi_ok || length >= sizeof path - 1)
    return wg_throw_type(env, "not a short string");
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return wg_throw_errno(env, "open", errno);
  if (lseek(fd, 0, SEEK_END) >= 0) return wg_number(env, fd);
  int err = errno;
  close(fd);
  return wg_throw_errno(env, "lseek", err);
}

/* kernelLogRead(descriptor, bytes): reads one record. Returns its length, or an errno as a negative
 * number: an exception would cost more than the call, and most calls find nothing. */
static napi_value kernel_log_read(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t fd;
  struct wg_array bytes;
  if (!wg_arguments(env, info, arguments, 2) || !wg_int(env, arguments[0], &fd) ||
      !wg_array(env, arguments[1], napi_uint8_array, &bytes))
    return NULL;
  ssize_t got = read(fd, bytes.data, bytes.length);
  return wg_number(env, got < 0 ? -errno : got);
}

static const struct wg_function FUNCTIONS[] = {
    {"kernelLogOpen", kernel_log_open},
    {"kernelLogRead", kernel_log_read},
    {NULL, NULL},
};
const struct wg_exports wg_exports_kernel_log = {FUNCTIONS, NULL};
