/* Fuzz target: a message to the service manager (native/notify.c). It goes to the path that was
 * given, whole, or nothing is sent and the call throws; the socket is closed.
 *
 * Input: what the kernel does (1 byte), the path's length (1), then path and text. */
#include "input.h"
#include "node-api.h"
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { OWN = 10, LONGEST_TEXT = 512 };

static char path[512], text[2048];
static int is_open, sent, answer;

/* The linker gives notify.c these functions in place of the C library's. */
int __wrap_socket(int family, int type, int protocol);
int __wrap_close(int fd);
ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size);

int __wrap_socket(int family, int type, int protocol) {
  must(family == AF_UNIX && type == (SOCK_DGRAM | SOCK_CLOEXEC) && protocol == 0, "a datagram socket that does not leak");
  errno = EMFILE;
  if (answer & 1) return -1;
  is_open = 1;
  return OWN;
}
int __wrap_close(int fd) {
  must(fd == OWN && is_open, "the socket is closed once");
  is_open = 0;
  return 0;
}
ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
  struct sockaddr_un address = {0};
  must(fd == OWN && flags & MSG_NOSIGNAL && size <= sizeof address, "a message cannot end the process");
  memcpy(&address, to, size);
  must(address.sun_family == AF_UNIX && size == offsetof(struct sockaddr_un, sun_path) + strlen(path), "the address has the path's length");
  must(path[0] == '@' ? address.sun_path[0] == 0 : address.sun_path[0] == path[0], "@ means the abstract namespace");
  must(strlen(path) < 2 || memcmp(address.sun_path + 1, path + 1, strlen(path) - 1) == 0, "the address is the path");
  must(length == strlen(text) && memcmp(data, text, length) == 0, "the text is sent whole");
  errno = ECONNREFUSED;
  if (answer & 2) return -1;
  sent++;
  return (ssize_t)length;
}

static void take_text(struct input *in, char *to, size_t length) {
  size_t i = 0;
  while (i < length && in->left) {
    uint8_t byte = (uint8_t)take(in, 1);
    to[i++] = (char)(byte ? byte : '@');
  }
  to[i] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  answer = (int)take(&in, 1);
  take_text(&in, path, take(&in, 1));
  take_text(&in, text, sizeof text - 1);
  is_open = sent = 0;
  fuzz_call_void(fuzz_export(&wg_exports_notify, "notifySend"), 2, (napi_value[]){fuzz_text(path), fuzz_text(text)});
  must(!is_open, "the socket is closed");
  int fits = strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path - 1 && strlen(text) < LONGEST_TEXT - 1;
  must(sent == (fits && !(answer & 3)), "a message that fits is sent once");
  must(fuzz_has_thrown() == !sent, "a message that was not sent throws");
  fuzz_end();
  return 0;
}
