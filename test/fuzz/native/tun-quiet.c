/* Fuzz target: silencing a TUN (native/tun-quiet.c) on a kernel that answers as the input says.
 * Every request is a whole message about this device; only addresses that the kernel itself made
 * for it are removed; what is switched off for a moment is switched on again; all descriptors are
 * closed.
 *
 * Input: who made the device (1 byte), its flags (2) and MTU (2), then what the kernel does with
 * each call (1), and for each datagram of a list of addresses its messages. */
#define _GNU_SOURCE
#include "tun.h"
#include "input.h"
#include "tun-calls.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* MOST_REMOVED: as many addresses are removed; SMALL: an MTU that ends IPv6. */
enum { CONTROL = 5, NETLINK = 6, SETTING = 7, INDEX = 3, MOST_CALLS = 4096, PROTO = 11, BY_KERNEL = 3, MOST_REMOVED = 16, SMALL = 1279 };

static struct input kernel;
static int is_inside, is_netlink_open, is_setting_open, calls;
static int flags, mtu, is_mtu_refused;
static char setting[128], forwarding, forwarding_before;
static int is_forwarding_refused;
/* The list of addresses: whether it is on its way, and what of it may be removed. */
static int is_dumping;
static struct in6_addr made[MOST_REMOVED];
static int made_count, removed;

static int fails(int error) {
  must(++calls < MOST_CALLS, "the calls end");
  errno = error;
  return (uint8_t)take(&kernel, 1) >= 0xf0;
}

int __wrap_ioctl(int fd, unsigned long what, ...) {
  va_list list;
  va_start(list, what);
  struct ifreq *request = va_arg(list, struct ifreq *);
  va_end(list);
  must(fd == CONTROL && strcmp(request->ifr_name, "wg0") == 0, "only this device is asked for");
  if (what == SIOCSIFMTU) {
    if (fails(EINVAL)) {
      is_mtu_refused |= request->ifr_mtu != SMALL;
      return -1;
    }
    mtu = request->ifr_mtu;
    return 0;
  }
  if (fails(ENODEV)) return -1;
  if (what == SIOCGIFFLAGS) request->ifr_flags = (short)flags;
  else if (what == SIOCGIFINDEX) request->ifr_ifindex = INDEX;
  else if (what == SIOCGIFMTU) request->ifr_mtu = mtu;
  else must(0, "an ioctl is one that silences a device");
  return 0;
}
int __wrap_socket(int family, int type, int protocol) {
  must(family == AF_NETLINK && type & SOCK_CLOEXEC && protocol == NETLINK_ROUTE && !is_netlink_open, "one socket of netlink");
  if (fails(EMFILE)) return -1;
  is_netlink_open = 1;
  return NETLINK;
}
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  (void)value, (void)length;
  must(fd == NETLINK && level == SOL_SOCKET && option == SO_RCVTIMEO, "waits for answers end");
  return 0;
}

/* Checks attributes: they fill the range exactly, and those that hold others do so too. */
static void check_attributes(const uint8_t *at, size_t left, int depth) {
  while (left) {
    struct rtattr head;
    must(left >= sizeof head, "an attribute is whole");
    memcpy(&head, at, sizeof head);
    must(head.rta_len >= sizeof head && head.rta_len <= left, "an attribute is inside");
    int is_nest = depth == 0 ? head.rta_type == IFLA_AF_SPEC : depth == 1 || (depth == 2 && head.rta_type == IFLA_INET_CONF);
    if (is_nest) check_attributes(at + sizeof head, head.rta_len - sizeof head, depth + 1);
    size_t step = RTA_ALIGN(head.rta_len);
    must(step <= left, "an attribute has its padding");
    at += step;
    left -= step;
  }
}

static void check_removal(const uint8_t *message, size_t length) {
  struct ifaddrmsg about;
  struct rtattr head;
  must(length == NLMSG_LENGTH(sizeof about) + RTA_LENGTH(sizeof *made), "a removal names one address");
  memcpy(&about, message + NLMSG_HDRLEN, sizeof about);
  memcpy(&head, message + NLMSG_LENGTH(sizeof about), sizeof head);
  must(about.ifa_index == INDEX && about.ifa_family == AF_INET6 && head.rta_type == IFA_LOCAL, "an address of this device is removed");
  must(removed < made_count && memcmp(&made[removed], message + length - sizeof *made, sizeof *made) == 0, "only what the kernel made is removed, once");
  removed++;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flag) {
  struct nlmsghdr header;
  (void)flag;
  must(fd == NETLINK && length >= sizeof header, "a request goes to netlink");
  memcpy(&header, data, sizeof header);
  must(header.nlmsg_len == length && header.nlmsg_flags & NLM_F_REQUEST, "a request is one whole message");
  if (header.nlmsg_type == RTM_SETLINK) {
    struct ifinfomsg link;
    memcpy(&link, (const uint8_t *)data + NLMSG_HDRLEN, sizeof link);
    must(link.ifi_index == INDEX && link.ifi_flags == 0 && (link.ifi_change & ~(unsigned)IFF_MULTICAST) == 0, "of the device's flags, only multicast is cleared");
    check_attributes((const uint8_t *)data + NLMSG_LENGTH(sizeof link), length - NLMSG_LENGTH(sizeof link), 0);
  } else if (header.nlmsg_type == RTM_DELADDR) {
    check_removal(data, length);
  } else {
    must(header.nlmsg_type == RTM_GETADDR && header.nlmsg_flags & NLM_F_DUMP, "a request silences the device");
  }
  if (fails(ENOBUFS)) return -1;
  is_dumping = header.nlmsg_type == RTM_GETADDR;
  return (ssize_t)length;
}

/* Reads a list of addresses as plainly as possible, and notes what may be removed. */
static void plain_reading(const uint8_t *at, size_t left) {
  while (left >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header;
    struct ifaddrmsg about;
    memcpy(&header, at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > left) return;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) is_dumping = 0;
    if (header.nlmsg_type == RTM_NEWADDR && header.nlmsg_len >= NLMSG_LENGTH(sizeof about)) {
      memcpy(&about, at + NLMSG_HDRLEN, sizeof about);
      const uint8_t *attribute = at + NLMSG_LENGTH(sizeof about), *address = NULL;
      size_t rest = header.nlmsg_len - NLMSG_LENGTH(sizeof about);
      int is_made = 0;
      while (rest >= sizeof(struct rtattr)) {
        struct rtattr head;
        memcpy(&head, attribute, sizeof head);
        if (head.rta_len < sizeof head || head.rta_len > rest) break;
        if (head.rta_type == IFA_ADDRESS && head.rta_len == RTA_LENGTH(sizeof *made)) address = attribute + sizeof head;
        if (head.rta_type == PROTO && head.rta_len > RTA_LENGTH(0)) is_made = attribute[sizeof head] == BY_KERNEL;
        if (RTA_ALIGN(head.rta_len) >= rest) break;
        attribute += RTA_ALIGN(head.rta_len);
        rest -= RTA_ALIGN(head.rta_len);
      }
      int is_ours = about.ifa_index == INDEX && about.ifa_scope == RT_SCOPE_LINK && is_made && address;
      if (is_ours && made_count < MOST_REMOVED) memcpy(&made[made_count++], address, sizeof *made);
    }
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= left) return;
    at += step;
    left -= step;
  }
}

/* Writes an address as the kernel lists it, with what the input changes. */
static size_t put_address(uint8_t *to, size_t room, uint8_t kind) {
  uint8_t bytes[256] = {0};
  size_t at = NLMSG_LENGTH(sizeof(struct ifaddrmsg));
  struct ifaddrmsg about = {.ifa_family = AF_INET6, .ifa_index = kind & 1 ? INDEX + 1 : INDEX, .ifa_scope = kind & 2 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK};
  for (int number = kind >> 4 & 7; number > 0; number--) {
    uint8_t what = (uint8_t)take(&kernel, 1), change = (uint8_t)take(&kernel, 1);
    size_t size = change ? change % 20 : what & 1 ? sizeof *made : 1;
    struct rtattr head = {.rta_type = what & 1 ? IFA_ADDRESS : what & 2 ? PROTO : what, .rta_len = (uint16_t)RTA_LENGTH(size)};
    memcpy(bytes + at, &head, sizeof head);
    memset(bytes + at + sizeof head, what & 2 && !(what & 1) ? (what & 4 ? 2 : BY_KERNEL) : what, size);
    if (change >= 0xf0) memcpy(bytes + at, &(uint16_t){change}, sizeof(uint16_t)); /* a wrong length */
    at += RTA_SPACE(size);
  }
  struct nlmsghdr header = {.nlmsg_type = RTM_NEWADDR, .nlmsg_len = (uint32_t)at};
  if (kind & 4) header.nlmsg_type = (uint16_t)(take(&kernel, 1) & 1 ? NLMSG_DONE : NLMSG_ERROR);
  if (kind & 8) header.nlmsg_len = (uint32_t)take(&kernel, 1);
  memcpy(bytes, &header, sizeof header);
  memcpy(bytes + sizeof header, &about, sizeof about);
  size_t step = kind & 8 && header.nlmsg_len >= sizeof header ? NLMSG_ALIGN(header.nlmsg_len) : at;
  if (step > sizeof bytes) step = sizeof bytes;
  if (step > room) step = room;
  memcpy(to, bytes, step);
  return step;
}

/* Fills the room with messages of no meaning, and a last one that is only a header. */
static size_t put_most(uint8_t *to, size_t room, uint16_t last) {
  size_t size = 0;
  while (room - size > sizeof(struct nlmsghdr)) {
    size_t left = room - size - sizeof(struct nlmsghdr), step = left > 4096 ? 4080 : left;
    memset(to + size, 0, step);
    memcpy(to + size, &(struct nlmsghdr){.nlmsg_len = (uint32_t)step, .nlmsg_type = NLMSG_NOOP}, sizeof(struct nlmsghdr));
    size += step;
  }
  memcpy(to + size, &(struct nlmsghdr){.nlmsg_len = sizeof(struct nlmsghdr), .nlmsg_type = last}, sizeof(struct nlmsghdr));
  return room;
}

static ssize_t acknowledge(void *to) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr answer;
  } message = {.header = {.nlmsg_len = sizeof message, .nlmsg_type = NLMSG_ERROR}, .answer = {.error = -(int)take(&kernel, 1)}};
  if (fails(EAGAIN)) return -1;
  size_t size = take(&kernel, 1) & 1 ? take(&kernel, 1) % sizeof message : sizeof message;
  memcpy(to, &message, size);
  return (ssize_t)size;
}

ssize_t __wrap_recv(int fd, void *to, size_t room, int flag) {
  (void)flag;
  must(fd == NETLINK && room >= sizeof(struct nlmsghdr), "an answer has room");
  if (!is_dumping) return acknowledge(to);
  if (!kernel.left || fails(EAGAIN)) {
    /* the list is incomplete: nothing is removed */
    is_dumping = made_count = 0;
    errno = EAGAIN;
    return -1;
  }
  uint8_t kind = (uint8_t)take(&kernel, 1);
  size_t size = 0;
  if (kind & 0x80) size = put_most(to, room, kind & 1 ? RTM_NEWADDR : NLMSG_DONE);
  else
    for (int number = 1 + kind % 16; number > 0 && size < room; number--)
      size += put_address((uint8_t *)to + size, room - size, (uint8_t)take(&kernel, 1));
  plain_reading(to, size);
  return (ssize_t)size;
}

int __wrap_open(const char *path, int how, ...) {
  if (!is_inside) return __real_open(path, how, 0600);
  must(!is_setting_open && how & O_CLOEXEC && strlen(path) < sizeof setting, "one setting is open at a time");
  if (fails(EROFS)) {
    is_forwarding_refused |= forwarding != forwarding_before;
    return -1;
  }
  snprintf(setting, sizeof setting, "%s", path);
  is_setting_open = 1;
  return SETTING;
}
ssize_t __wrap_read(int fd, void *to, size_t room) {
  if (!is_inside) return __real_read(fd, to, room);
  must(fd == SETTING && is_setting_open && room == 1, "a setting is read");
  if (fails(EIO)) return -1;
  *(char *)to = forwarding;
  return 1;
}
ssize_t __wrap_write(int fd, const void *data, size_t length) {
  if (!is_inside) return __real_write(fd, data, length);
  must(fd == SETTING && is_setting_open && length == 1, "a setting is written");
  if (strcmp(setting, "/proc/sys/net/ipv4/conf/all/send_redirects") == 0) {
    must(*(const char *)data == '0' && flags & IFF_UP, "redirects of the namespace end once the device is up");
    return 1;
  }
  must(strcmp(setting, "/proc/sys/net/ipv6/conf/wg0/forwarding") == 0, "only settings of this device are written");
  forwarding = *(const char *)data;
  return 1;
}
int __wrap_close(int fd) {
  if (!is_inside) return __real_close(fd);
  if (fd == SETTING) must(is_setting_open, "a setting is closed once"), is_setting_open = 0;
  else must(fd == NETLINK && is_netlink_open, "the socket is closed once"), is_netlink_open = 0;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  int is_ours = (int)take(&in, 1) & 1;
  flags = (int)take(&in, 2);
  int before = mtu = (int)take(&in, 2);
  forwarding = forwarding_before = flags & 0x100 ? '1' : '0';
  kernel = in;
  is_netlink_open = is_setting_open = calls = is_dumping = made_count = removed = is_mtu_refused = is_forwarding_refused = 0;
  is_inside = 1;
  wg_tun_quiet(CONTROL, "wg0", is_ours);
  must(!is_netlink_open && !is_setting_open, "everything is closed");
  must(mtu == before || is_mtu_refused, "the MTU is as before");
  must(forwarding == forwarding_before || is_forwarding_refused, "forwarding is as before");
  must(removed == made_count, "what the kernel made is removed");
  must(!wg_tun_quiet_up(CONTROL, "wg0") || flags & IFF_UP, "a device that is down is not up");
  is_inside = 0;
  must(!is_setting_open, "everything is closed");
  return 0;
}
