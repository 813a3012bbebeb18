/* Gives handshakes a separate socket. Initiations, responses and cookie replies cost far more than
 * transport data, and anyone who knows our public key can send them. If both shared one queue, a
 * flood of handshakes would delay and displace the data. Two sockets on one port form a group
 * (SO_REUSEPORT, socket(7)), and a classic BPF program picks the socket by the message type
 * (SO_ATTACH_REUSEPORT_CBPF). A wrong choice does no harm: the same code reads both sockets. */
#include "udp.h"
#include <errno.h>
#include <linux/filter.h>

enum { DATA, HANDSHAKES };

/* The first four bytes of a message, which BPF loads in big endian. For a shorter datagram the
 * program ends with 0, which is DATA. */
enum { INITIATION = 0x01000000, RESPONSE = 0x02000000, COOKIE_REPLY = 0x03000000 };

static int attach(int fd) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, INITIATION, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RESPONSE, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COOKIE_REPLY, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, DATA),
      BPF_STMT(BPF_RET | BPF_K, HANDSHAKES),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* Makes a socket accept only handshakes, or only other datagrams. The filter reads the first word
 * after the UDP header. */
static void take_only(int fd, int handshakes) {
  uint32_t others = handshakes ? 0 : UINT32_MAX, ours = handshakes ? UINT32_MAX : 0;
  struct sock_filter code[] = {
      /* loading past the end would drop the datagram, but the data path must count it as
       * malformed */
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 12, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, INITIATION, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RESPONSE, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COOKIE_REPLY, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, others),
      BPF_STMT(BPF_RET | BPF_K, ours),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void wg_udp_keep_apart(int fd, int other) {
  take_only(fd, 0);
  take_only(other, 1);
}

void wg_udp_join(int fd, int other) {
  int ignored = 0;
  setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored);
  setsockopt(other, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored);
}

/* `fd` was bound without SO_REUSEPORT, so that we get EADDRINUSE if the port is in use. The option
 * is set afterwards, for the group. Other sockets can join the group only with the same option and
 * the same user. They receive no datagrams, because the program picks only the first two
 * sockets. */
int wg_udp_steer(int fd, int other, const union wg_sockaddr *address, socklen_t length) {
  int on = 1, off = 0, err = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) || setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
      bind(other, &address->any, length) || attach(fd))
    err = errno;
  if (err) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
  return err;
}
