/* Passes open descriptors between processes over a UNIX socket (SCM_RIGHTS, unix(7)), together with
 * bytes. Node passes descriptors only to its own child processes. Also a token that only one of two
 * processes can claim: one byte in a pipe without writers. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 16, BUFFER = 4 << 20, MODE = 0600 };

static const napi_type_tag KIND = {WG_TAG, 0x77672d7269676874};

struct rights { int fd; }; /* -1 when closed */

/* Room for the control message of MOST_DESCRIPTORS. */
union control { char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))]; struct cmsghdr aligned; };

static void close_rights(struct rights *rights) {
  if (rights->fd >= 0) close(rights->fd);
  rights->fd = -1;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  close_rights(data);
  free(data);
}

/* Makes a handle, which owns the descriptor. Closes the descriptor if that fails. */
static napi_value make(napi_env env, int fd) {
  napi_value result = NULL;
  int size = BUFFER;
  struct rights *rights = calloc(1, sizeof *rights);
  if (!rights) {
    close(fd);
    return wg_throw_errno(env, "calloc", ENOMEM);
  }
  rights->fd = fd;
  /* a larger buffer needs fewer switches between the processes; the system may refuse it */
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (!(result = wg_make_handle(env, rights, release, &KIND))) release(env, rights, NULL);
  return result;
}

/* Reads a path into an address. Returns 0 with an exception pending if it is no path. */
static int address_of(napi_env env, napi_value value, struct sockaddr_un *address) {
  size_t length;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  char path[sizeof address->sun_path + 1];
  if (napi_get_value_string_utf8(env, value, path, sizeof path, &length) != napi_ok) {
    wg_throw_type(env, "not a string");
    return 0;
  }
  if (length == 0 || length >= sizeof address->sun_path) {
    wg_throw_errno(env, "bind", ENAMETOOLONG);
    return 0;
  }
  memcpy(address->sun_path, path, length);
  return 1;
}

static int open_socket(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

/* rightsListen(path, backlog): makes a socket that only its owner can connect to, and listens.
 * Throws system errors. */
static napi_value rights_listen(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct sockaddr_un address;
  int32_t backlog;
  if (!wg_arguments(env, info, arguments, 2) || !address_of(env, arguments[0], &address) || !wg_int(env, arguments[1], &backlog)) return NULL;
  int fd = open_socket();
  if (fd < 0) return wg_throw_errno(env, "socket", errno);
  const char *call = "fchmod";
  /* bind() gives the file the mode of the socket, so no other user can connect even for an
   * instant */
  int failed = fchmod(fd, MODE) != 0;
  if (!failed) call = "bind", failed = bind(fd, (struct sockaddr *)&address, sizeof address) != 0;
  if (!failed) call = "listen", failed = listen(fd, backlog) != 0;
  if (!failed) return make(env, fd);
  int err = errno;
  close(fd);
  return wg_throw_errno(env, call, err);
}

/* rightsConnect(path): returns a handle. Never waits: throws EAGAIN if too many others wait. */
static napi_value rights_connect(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct sockaddr_un address;
  if (!wg_arguments(env, info, &argument, 1) || !address_of(env, argument, &address)) return NULL;
  int fd = open_socket();
  if (fd < 0) return wg_throw_errno(env, "socket", errno);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return make(env, fd);
  int err = errno;
  close(fd);
  return wg_throw_errno(env, "connect", err);
}

static struct rights *rights_of(napi_env env, napi_value value) {
  struct rights *rights = wg_handle(env, value, &KIND);
  if (!rights || rights->fd >= 0) return rights;
  wg_throw_errno(env, "socket", EBADF);
  return NULL;
}

/* rightsAccept(handle): returns a handle of the next connection; undefined if none waits. */
static napi_value rights_accept(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct rights *rights;
  if (!wg_arguments(env, info, &argument, 1) || !(rights = rights_of(env, argument))) return NULL;
  int fd;
  do fd = accept4(rights->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd >= 0) return make(env, fd);
  return errno == EAGAIN ? wg_undefined(env) : wg_throw_errno(env, "accept", errno);
}

/* rightsFd(handle): returns the descriptor for pollStart; -1 when closed. */
static napi_value rights_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct rights *rights;
  if (!wg_arguments(env, info, &argument, 1) || !(rights = wg_handle(env, argument, &KIND))) return NULL;
  return wg_number(env, rights->fd);
}

/* rightsPeer(descriptor): returns pid and uid of the process at the other end of a UNIX socket, as
 * they were when it connected or listened. */
static napi_value rights_peer(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  struct ucred peer;
  socklen_t length = sizeof peer;
  int32_t fd;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return wg_throw_errno(env, "SO_PEERCRED", errno);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  wg_set_number(env, result, "pid", peer.pid);
  wg_set_number(env, result, "uid", peer.uid);
  return result;
}

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sends everything; the descriptors go with the first byte. Returns 0 or an errno. */
static int send_all(int fd, struct wg_array bytes, struct wg_array descriptors, int32_t limit) {
  union control control = {0};
  struct iovec vector = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  size_t size = descriptors.length * sizeof(int);
  if (size > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(size)};
    memcpy(CMSG_DATA(header), descriptors.data, size);
  }
  for (int64_t end = milliseconds() + limit; vector.iov_len > 0;) {
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      vector.iov_base = (char *)vector.iov_base + sent;
      vector.iov_len -= (size_t)sent;
      message.msg_control = NULL;
      message.msg_controllen = 0;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    int64_t left = end - milliseconds();
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (left <= 0) return ETIMEDOUT;
    if (poll(&ready, 1, (int)left) < 0 && errno != EINTR) return errno;
  }
  return 0;
}

/* rightsSend(handle, bytes, descriptors, limit): sends all bytes, and copies of the descriptors
 * with the first one. Waits at most `limit` milliseconds for a slow reader. Throws system
 * errors. */
static napi_value rights_send(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct rights *rights;
  struct wg_array bytes, descriptors;
  int32_t limit;
  if (!wg_arguments(env, info, arguments, 4) || !(rights = rights_of(env, arguments[0])) ||
      !wg_array(env, arguments[1], napi_uint8_array, &bytes) || !wg_array(env, arguments[2], napi_int32_array, &descriptors) ||
      !wg_int(env, arguments[3], &limit))
    return NULL;
  if (bytes.length == 0 || descriptors.length > MOST_DESCRIPTORS) return wg_throw_errno(env, "sendmsg", EINVAL);
  int err = send_all(rights->fd, bytes, descriptors, limit);
  return err ? wg_throw_errno(env, "sendmsg", err) : wg_undefined(env);
}

/* Copies the descriptors of a received message to `to`. Closes those that do not fit. Returns their
 * number. */
static size_t take_descriptors(struct msghdr *message, int32_t *to, size_t room) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t given = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < given; i++, count++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      if (count < room) to[count] = fd;
      else close(fd);
    }
  }
  return count;
}

/* rightsReceive(handle, bytes, descriptors): reads bytes, and the descriptors that came with them.
 * Unused places of `descriptors` are -1. Returns the number of bytes; 0 at the end; -1 if nothing
 * waits. Throws EMSGSIZE if descriptors were lost, after closing the others. */
static napi_value rights_receive(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  struct rights *rights;
  struct wg_array bytes, descriptors;
  if (!wg_arguments(env, info, arguments, 3) || !(rights = rights_of(env, arguments[0])) ||
      !wg_array(env, arguments[1], napi_uint8_array, &bytes) || !wg_array(env, arguments[2], napi_int32_array, &descriptors))
    return NULL;
  if (bytes.length == 0) return wg_throw_errno(env, "recvmsg", EINVAL);
  int32_t *places = descriptors.data;
  for (size_t i = 0; i < descriptors.length; i++) places[i] = -1;
  union control control;
  struct iovec vector = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t got;
  do got = recvmsg(rights->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? wg_number(env, -1) : wg_throw_errno(env, "recvmsg", errno);
  size_t count = take_descriptors(&message, places, descriptors.length);
  if (count <= descriptors.length && !(message.msg_flags & MSG_CTRUNC)) return wg_number(env, got);
  for (size_t i = 0; i < descriptors.length; i++) {
    if (places[i] >= 0) close(places[i]);
    places[i] = -1;
  }
  return wg_throw_errno(env, "recvmsg", EMSGSIZE);
}

/* rightsClose(handle): closes the socket. May be called again. Stop polling first. */
static napi_value rights_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct rights *rights;
  if (!wg_arguments(env, info, &argument, 1) || !(rights = wg_handle(env, argument, &KIND))) return NULL;
  close_rights(rights);
  return wg_undefined(env);
}

/* rightsCopy(descriptor): returns another descriptor of the same open file, which the caller
 * owns. */
static napi_value rights_copy(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t fd;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &fd)) return NULL;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? wg_throw_errno(env, "fcntl", errno) : wg_number(env, copy);
}

/* rightsToken(): returns a descriptor, which the caller owns, of a pipe that holds one byte and has
 * no writer. Of all processes that have a copy, the first to read it gets the byte. */
static napi_value rights_token(napi_env env, napi_callback_info info) {
  int ends[2];
  char byte = 1;
  (void)info;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return wg_throw_errno(env, "pipe2", errno);
  int err = write(ends[1], &byte, 1) == 1 ? 0 : errno;
  close(ends[1]);
  if (!err) return wg_number(env, ends[0]);
  close(ends[0]);
  return wg_throw_errno(env, "write", err);
}

static const struct wg_function FUNCTIONS[] = {
    {"rightsListen", rights_listen},
    {"rightsConnect", rights_connect},
    {"rightsAccept", rights_accept},
    {"rightsFd", rights_fd},
    {"rightsPeer", rights_peer},
    {"rightsSend", rights_send},
    {"rightsReceive", rights_receive},
    {"rightsClose", rights_close},
    {"rightsCopy", rights_copy},
    {"rightsToken", rights_token},
    {NULL, NULL},
};
const struct wg_exports wg_exports_rights = {FUNCTIONS, NULL};
