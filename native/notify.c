/* Notifies the service manager (sd_notify(3)): one datagram to a UNIX socket, which node:dgram
 * cannot send. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_MAX = 512 };

static int text_of(napi_env env, napi_value value, char *text, size_t size, size_t *length) {
  if (napi_get_value_string_utf8(env, value, text, size, length) == napi_ok && *length < size - 1) return 1;
  wg_throw_type(env, "not a short string");
  return 0;
}

/* notifySend(path, text): sends `text` to the socket. A path that begins with @ is in the abstract
 * namespace. Throws system errors. */
static napi_value notify_send(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[TEXT_MAX];
  size_t path_length, text_length;
  if (!wg_arguments(env, info, arguments, 2) ||
      !text_of(env, arguments[0], address.sun_path, sizeof address.sun_path, &path_length) ||
      !text_of(env, arguments[1], text, sizeof text, &text_length))
    return NULL;
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return wg_throw_errno(env, "socket", errno);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_length);
  ssize_t sent = sendto(fd, text, text_length, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
  int err = sent < 0 ? errno : 0;
  close(fd);
  return err ? wg_throw_errno(env, "sendto", err) : NULL;
}

static const struct wg_function FUNCTIONS[] = {
    {"notifySend", notify_send},
    {NULL, NULL},
};
const struct wg_exports wg_exports_notify = {FUNCTIONS, NULL};
