/* Finds the VXLAN device in the TUN's namespace whose packets come through the TUN. Only to that
 * device does tun-write.c write merged packets in VXLAN: the kernel would hand one to any other
 * socket on the port as a single datagram. */
#define _GNU_SOURCE
#include "tun.h"
#include "bytes.h"
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ROOM: the kernel's dumps have at most 32 KiB a message. */
enum { ROOM = 32768, MOST_READS = 64 };

struct range {
  const uint8_t *at;
  size_t length;
};

/* Returns the content of an attribute, which is empty if the range has none of that type. */
static struct range attribute(struct range in, int type) {
  struct rtattr header;
  while (in.length >= sizeof header) {
    memcpy(&header, in.at, sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > in.length) break;
    if ((header.rta_type & NLA_TYPE_MASK) == type) return (struct range){in.at + sizeof header, header.rta_len - sizeof header};
    size_t step = NLMSG_ALIGN((size_t)header.rta_len);
    if (step > in.length) break;
    in = (struct range){in.at + step, in.length - step};
  }
  return (struct range){NULL, 0};
}

/* Reads one link. Returns whether it is a VXLAN device over IPv4 that is up. */
static int read_link(struct range message, uint32_t own, struct wg_overlay *overlay) {
  struct ifinfomsg link;
  if (message.length < sizeof link) return 0;
  memcpy(&link, message.at, sizeof link);
  if (!(link.ifi_flags & IFF_UP)) return 0;
  struct range attributes = {message.at + sizeof link, message.length - sizeof link};
  struct range info = attribute(attributes, IFLA_LINKINFO), kind = attribute(info, IFLA_INFO_KIND);
  if (kind.length < 5 || memcmp(kind.at, "vxlan", 5) != 0) return 0;
  struct range data = attribute(info, IFLA_INFO_DATA), port = attribute(data, IFLA_VXLAN_PORT);
  struct range local = attribute(data, IFLA_VXLAN_LOCAL);
  /* over IPv6, another socket may have the port over IPv4 */
  if (port.length != 2 || attribute(data, IFLA_VXLAN_GROUP6).at || attribute(data, IFLA_VXLAN_LOCAL6).at) return 0;
  overlay->port = wg_be16(port.at);
  overlay->address = local.length == 4 ? wg_be32(local.at) : own;
  return overlay->port != 0 && overlay->address != 0;
}

/* Reads one datagram of the dump. Returns whether it ends the dump. */
static int read_links(struct range datagram, uint32_t own, struct wg_overlay *overlay) {
  struct nlmsghdr header;
  while (datagram.length >= sizeof header) {
    memcpy(&header, datagram.at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.length || header.nlmsg_type != RTM_NEWLINK) return 1;
    struct wg_overlay found;
    if (read_link((struct range){datagram.at + sizeof header, header.nlmsg_len - sizeof header}, own, &found)) {
      *overlay = found;
      return 1;
    }
    size_t step = NLMSG_ALIGN((size_t)header.nlmsg_len);
    if (step > datagram.length) return 0;
    datagram = (struct range){datagram.at + step, datagram.length - step};
  }
  return 0;
}

void wg_tun_find_overlay(struct wg_tun *tun, const char *name) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr info, kind;
    char text[8];
    struct rtattr mask;
    uint32_t filter;
  } request = {
      {sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {0}, {16, IFLA_LINKINFO}, {12, IFLA_INFO_KIND}, "vxlan",
      {8, IFLA_EXT_MASK}, RTEXT_FILTER_SKIP_STATS};
  tun->overlay = (struct wg_overlay){0, 0};
  struct ifreq own = {0};
  uint8_t address[sizeof own.ifr_addr];
  memcpy(own.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(tun->control, SIOCGIFADDR, &own) != 0) memset(&own.ifr_addr, 0, sizeof own.ifr_addr);
  memcpy(address, &own.ifr_addr, sizeof address);
  uint32_t mine = wg_be32(address + offsetof(struct sockaddr_in, sin_addr));
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return;
  uint8_t room[ROOM];
  if (send(fd, &request, sizeof request, 0) == sizeof request)
    for (int i = 0; i < MOST_READS; i++) {
      ssize_t got = recv(fd, room, sizeof room, 0);
      if (got <= 0 || (size_t)got > sizeof room || read_links((struct range){room, (size_t)got}, mine, &tun->overlay)) break;
    }
  close(fd);
}
