/* Fuzz target: opening, steering and adopting UDP sockets (native/udp.c, udp-steer.c, udp-adopt.c)
 * on a kernel that refuses and chooses ports as the input says. Every socket is in the handle or
 * closed, once; those that were not adopted stay with their owner; both families have one port; and
 * of two sockets of one port exactly one takes a datagram.
 *
 * Input: what to do (1 byte), the port (2), the offloads (1), the mark (4), then what the kernel
 * says to each call (1), or what it gives (2); for steering, datagrams: length (1) and bytes. */
#include "udp.h"
#include "bpf.h"
#include "node-api.h"
#include <errno.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <unistd.h>

enum { FIRST = 100, MOST = 512, MOST_CALLS = 8192, LONGEST = 64 };

struct fake_socket {
  int family, type, is_open, reuses;
  uint16_t port;
  struct sock_filter filter[16], chooser[16];
  int filter_length, chooser_length;
};

static struct input kernel;
static struct fake_socket sockets[MOST];
static int made, calls;
/* The sockets that came from another process, which the caller owns until they are adopted. */
static int given;

/* Returns whether a call fails. After the end of the input, none does. */
static int fails(void) {
  static const int errors[] = {EADDRINUSE, EAFNOSUPPORT, EADDRNOTAVAIL, EACCES, EMFILE, EPERM, ENOPROTOOPT, EINVAL};
  must(++calls < MOST_CALLS, "the attempts end");
  uint8_t kind = (uint8_t)take(&kernel, 1);
  errno = errors[kind % 8];
  return kind >= 0xe8;
}

static struct fake_socket *open_socket(int fd) {
  must(fd >= FIRST && fd < FIRST + made && sockets[fd - FIRST].is_open, "only open sockets are used");
  return &sockets[fd - FIRST];
}

/* The linker gives these files these functions in place of the C library's. */
int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);

int __wrap_socket(int family, int type, int protocol) {
  must(type == (SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC) && protocol == 0, "a socket that neither waits nor leaks");
  if (fails() || made == MOST) return -1;
  sockets[made] = (struct fake_socket){.family = family, .type = SOCK_DGRAM, .is_open = 1};
  return FIRST + made++;
}
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length) {
  struct fake_socket *own = open_socket(fd);
  union wg_sockaddr to = {0};
  must(length == (own->family == AF_INET ? sizeof to.v4 : sizeof to.v6) && !own->port, "a socket is bound once, in its family");
  memcpy(&to, address, length);
  must(to.any.sa_family == own->family, "an address is of the socket's family");
  if (fails()) return -1;
  own->port = ntohs(to.v4.sin_port);
  if (!own->port) own->port = (uint16_t)(1 + take(&kernel, 2) % 65535);
  return 0;
}
int __wrap_close(int fd) {
  if (fd < FIRST) return __real_close(fd);
  open_socket(fd)->is_open = 0;
  return 0;
}
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *length) {
  const struct fake_socket *own = open_socket(fd);
  union wg_sockaddr name = {0};
  name.any.sa_family = (sa_family_t)own->family;
  name.v4.sin_port = htons(own->port);
  if (fails()) return -1;
  memcpy(address, &name, *length < sizeof name ? *length : sizeof name);
  return 0;
}
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
  const struct fake_socket *own = open_socket(fd);
  int number = 0;
  if (fails()) return -1;
  must(*length == sizeof number, "an option is a number");
  if (level == SOL_SOCKET) number = option == SO_DOMAIN ? own->family : option == SO_TYPE ? own->type : IPPROTO_UDP;
  memcpy(value, &number, sizeof number);
  return 0;
}

static int take_program(const void *value, socklen_t length, struct sock_filter *to) {
  struct sock_fprog program;
  must(length == sizeof program, "a program is given");
  memcpy(&program, value, sizeof program);
  must(program.len <= 16, "a program is short");
  memcpy(to, program.filter, program.len * sizeof *to);
  bpf_check(to, program.len);
  return program.len;
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  struct fake_socket *own = open_socket(fd);
  if (fails()) return -1;
  if (level != SOL_SOCKET) return 0;
  if (option == SO_REUSEPORT) memcpy(&own->reuses, value, sizeof own->reuses);
  if (option == SO_ATTACH_FILTER) own->filter_length = take_program(value, length, own->filter);
  if (option == SO_DETACH_FILTER) own->filter_length = 0;
  if (option == SO_ATTACH_REUSEPORT_CBPF) own->chooser_length = take_program(value, length, own->chooser);
  return 0;
}

static int is_handshake(const uint8_t *bytes, size_t length) {
  return length >= 4 && bytes[0] >= 1 && bytes[0] <= 3 && !bytes[1] && !bytes[2] && !bytes[3];
}

/* Whether a socket's filter takes a datagram, which is behind 8 bytes of UDP header there. */
static int takes(const struct fake_socket *socket, const uint8_t *whole, size_t length) {
  return !socket->filter_length || bpf_run(socket->filter, whole, length, 0) != 0;
}

/* Sends a datagram to a port with two sockets, and to a multicast group, which both are members of.
 */
static void deliver(const struct fake_socket *data, const struct fake_socket *handshakes, struct input *in) {
  uint8_t whole[8 + LONGEST] = {0};
  size_t length = take(in, 1) % LONGEST;
  for (size_t i = 0; i < length; i++) whole[8 + i] = (uint8_t)take(in, 1);
  if (data->chooser_length)
    must(bpf_run(data->chooser, whole + 8, length, 0) == (uint32_t)is_handshake(whole + 8, length), "handshakes alone are steered");
  int is_one = is_handshake(whole + 8, length);
  if (!data->filter_length || !handshakes->filter_length) return;
  must(takes(handshakes, whole, 8 + length) == is_one && takes(data, whole, 8 + length) == !is_one, "of two sockets one takes a datagram");
}

static void open_new(uint16_t port, int32_t offloads, uint32_t mark) {
  napi_value result = fuzz_call(fuzz_export(&wg_exports_udp, "udpOpen"), 3, (napi_value[]){fuzz_number(port), fuzz_number(mark), fuzz_number(offloads)});
  int open = 0;
  uint16_t common = port;
  for (int i = 0; i < made; i++) {
    if (!sockets[i].is_open) continue;
    open++;
    if (!common) common = sockets[i].port;
    must(sockets[i].port == common && common, "both families have one port");
  }
  must(!result == !open, "sockets are open exactly if there is a handle");
  must(open <= (offloads & WG_UDP_STEER ? 4 : 2), "there are no more sockets than needed");
}

/* Adopts sockets that may be of another kind, or of another port. */
static void adopt(uint16_t port, int32_t offloads, uint8_t what) {
  int32_t fds[4] = {-1, -1, -1, -1};
  for (int i = 0; i < 4; i++) {
    uint8_t kind = (uint8_t)take(&kernel, 1);
    if (!(what >> (i + 2) & 1)) continue;
    sockets[made] = (struct fake_socket){.family = i & 1 ? AF_INET6 : AF_INET, .type = kind == 0xff ? SOCK_STREAM : SOCK_DGRAM, .is_open = 1, .port = kind == 0xfe ? (uint16_t)(port + 1) : port};
    if (kind == 0xfd) sockets[made].family = AF_UNIX;
    fds[i] = FIRST + made++;
  }
  given = made;
  napi_value result = fuzz_call(fuzz_export(&wg_exports_udp, "udpAdopt"), 2, (napi_value[]){fuzz_numbers(fds, 4), fuzz_number(offloads)});
  for (int i = 0; i < given; i++) {
    must(sockets[i].is_open, "adopting closes nothing");
    must(!result || (sockets[i].type == SOCK_DGRAM && sockets[i].family != AF_UNIX && sockets[i].port == sockets[0].port && sockets[0].port), "only UDP sockets of one port are adopted");
  }
  must(!result || ((fds[2] < 0 || fds[0] >= 0) && (fds[3] < 0 || fds[1] >= 0)), "no socket for handshakes is alone");
  if (result) given = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  uint8_t what = (uint8_t)take(&in, 1);
  uint16_t port = (uint16_t)take(&in, 2);
  int32_t offloads = (int32_t)take(&in, 1);
  uint32_t mark = (uint32_t)take(&in, 4);
  kernel = in;
  made = calls = given = 0;
  if (what & 1) adopt(port, offloads, what);
  else open_new(port, offloads, mark);
  for (int i = 0; i < made; i++)
    for (int k = 0; k < made; k++)
      if (sockets[i].is_open && sockets[k].is_open && sockets[i].chooser_length && k != i && sockets[k].family == sockets[i].family)
        deliver(&sockets[i], &sockets[k], &kernel);
  fuzz_end();
  for (int i = 0; i < made; i++) must(sockets[i].is_open == (i < given), "at the end, only sockets of others are open");
  return 0;
}
