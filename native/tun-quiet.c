/* Makes a TUN as silent as the kernel's own WireGuard device (device.c, wg_setup and wg_open). The
 * TUN gets no automatic link-local address, and therefore sends no router solicitations. It joins
 * no multicast group, and sends no ICMP redirects for traffic between peers. Settings that another
 * program changes later are kept. Each step may fail: without the privilege, or without IPv6, the
 * tunnel still works. */
#define _GNU_SOURCE
#include "tun.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Added in Linux 5.18; older headers lack them. */
enum { ADDRESS_PROTO = 11, MADE_BY_KERNEL_LINK_LOCAL = 3 };
enum { LEAST_IPV6_MTU = 1280, MOST_DELETED = 16 };

struct request {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
  };
  uint8_t attributes[64];
} __attribute__((aligned(4)));

static struct request link_request(int index) {
  struct request r = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof r.link), .nlmsg_type = RTM_SETLINK}};
  r.link = (struct ifinfomsg){.ifi_family = AF_UNSPEC, .ifi_index = index};
  return r;
}

/* Begins an attribute. end_attribute() writes its length when the content is complete. */
static struct rtattr *attribute(struct request *r, uint16_t type, const void *data, size_t size) {
  struct rtattr *a = (struct rtattr *)((uint8_t *)r + NLMSG_ALIGN(r->header.nlmsg_len));
  *a = (struct rtattr){.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(size)};
  if (size) memcpy(RTA_DATA(a), data, size);
  r->header.nlmsg_len = NLMSG_ALIGN(r->header.nlmsg_len) + (uint32_t)RTA_SPACE(size);
  return a;
}

static void end_attribute(const struct request *r, struct rtattr *a) {
  a->rta_len = (uint16_t)((const uint8_t *)r + r->header.nlmsg_len - (const uint8_t *)a);
}

/* Sends a request and reads the acknowledgement. Returns 0 or an errno. */
static int ask(int netlink, struct request *r) {
  uint8_t answer[1024] __attribute__((aligned(4)));
  r->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  if (send(netlink, r, r->header.nlmsg_len, 0) < 0) return errno;
  ssize_t got = recv(netlink, answer, sizeof answer, 0);
  const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
  if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR) return EPROTO;
  return -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}

static void no_multicast(int netlink, int index) {
  struct request r = link_request(index);
  r.link.ifi_change = IFF_MULTICAST;
  ask(netlink, &r);
}

static void no_link_local(int netlink, int index) {
  struct request r = link_request(index);
  uint8_t none = IN6_ADDR_GEN_MODE_NONE;
  struct rtattr *all = attribute(&r, IFLA_AF_SPEC, NULL, 0), *six = attribute(&r, AF_INET6, NULL, 0);
  attribute(&r, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof none);
  end_attribute(&r, six);
  end_attribute(&r, all);
  ask(netlink, &r);
}

/* Disables ICMP redirects of the device, through netlink, because /proc/sys is read-only in most
 * containers. */
static void no_redirects(int netlink, int index) {
  struct request r = link_request(index);
  uint32_t off = 0;
  struct rtattr *all = attribute(&r, IFLA_AF_SPEC, NULL, 0), *four = attribute(&r, AF_INET, NULL, 0);
  struct rtattr *conf = attribute(&r, IFLA_INET_CONF, NULL, 0);
  attribute(&r, IPV4_DEVCONF_SEND_REDIRECTS, &off, sizeof off);
  end_attribute(&r, conf);
  end_attribute(&r, four);
  end_attribute(&r, all);
  ask(netlink, &r);
}

/* Writes a setting of the calling thread's network namespace. Returns whether it was written. */
static int write_setting(const char *path, char value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  int done = write(fd, &value, 1) == 1;
  close(fd);
  return done;
}

/* Returns a link-local address if the kernel generated it, otherwise NULL. */
static const void *made_by_kernel(const struct nlmsghdr *header, int index) {
  const struct ifaddrmsg *message = NLMSG_DATA(header);
  const void *address = NULL;
  int made = 0;
  if (header->nlmsg_type != RTM_NEWADDR || header->nlmsg_len < NLMSG_LENGTH(sizeof *message)) return NULL;
  if ((int)message->ifa_index != index || message->ifa_scope != RT_SCOPE_LINK) return NULL;
  int left = (int)IFA_PAYLOAD(header);
  for (const struct rtattr *a = IFA_RTA(message); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == IFA_ADDRESS && RTA_PAYLOAD(a) == sizeof(struct in6_addr)) address = RTA_DATA(a);
    if (a->rta_type == ADDRESS_PROTO && RTA_PAYLOAD(a) >= 1) made = *(const uint8_t *)RTA_DATA(a) == MADE_BY_KERNEL_LINK_LOCAL;
  }
  return made ? address : NULL;
}

/* Removes the link-local address. A device that is already up has one, and solicits routers until
 * it is removed. */
static void drop_link_local(int netlink, int index) {
  struct in6_addr found[MOST_DELETED];
  int count = 0, done = 0;
  uint8_t answer[16384] __attribute__((aligned(4)));
  struct request r = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof r.address), .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
  r.address = (struct ifaddrmsg){.ifa_family = AF_INET6};
  if (send(netlink, &r, r.header.nlmsg_len, 0) < 0) return;
  while (!done) {
    ssize_t got = recv(netlink, answer, sizeof answer, 0);
    if (got <= 0) return;
    int left = (int)got; /* signed, as in notices.c */
    for (const struct nlmsghdr *h = (const struct nlmsghdr *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      const void *address = made_by_kernel(h, index);
      if (address && count < MOST_DELETED) memcpy(&found[count++], address, sizeof *found);
      done |= h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
    }
  }
  for (int i = 0; i < count; i++) {
    struct request d = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof d.address), .nlmsg_type = RTM_DELADDR}};
    d.address = (struct ifaddrmsg){.ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = (uint32_t)index};
    attribute(&d, IFA_LOCAL, &found[i], sizeof found[i]);
    ask(netlink, &d);
  }
}

static int set_mtu(int control, struct ifreq request, int mtu) {
  request.ifr_mtu = mtu;
  return ioctl(control, SIOCSIFMTU, &request);
}

/* Makes a device that we created leave the multicast group "all routers". A host that forwards
 * makes every new device a member, and the device would announce it. Setting an MTU that is too
 * small for IPv6 drops the device's IPv6 state, including the membership. No other IPv6 settings
 * are on the device yet. */
static void forget_groups(int control, const struct ifreq *name) {
  struct ifreq request = *name;
  if (ioctl(control, SIOCGIFMTU, &request) != 0 || request.ifr_mtu < LEAST_IPV6_MTU) return;
  int mtu = request.ifr_mtu;
  if (set_mtu(control, *name, LEAST_IPV6_MTU - 1) == 0) set_mtu(control, *name, mtu);
}

/* Makes a device that another program created leave the group. Its settings must be kept, so this
 * only stops forwarding for a moment: the device then leaves the group, if it still has multicast.
 * Returns whether the caller must set `forwarding` again. */
static int stop_forwarding(const char *path) {
  char value = '0';
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  int on = read(fd, &value, 1) == 1 && value == '1';
  close(fd);
  return on && write_setting(path, '0');
}

void wg_tun_quiet(int control, const char *name, int made_by_us) {
  struct ifreq request = {0};
  struct timeval patience = {.tv_sec = 1};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFFLAGS, &request) != 0) return;
  int up = request.ifr_flags & IFF_UP, multicast = request.ifr_flags & IFF_MULTICAST;
  if (ioctl(control, SIOCGIFINDEX, &request) != 0) return;
  int index = request.ifr_ifindex;
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink < 0) return;
  setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char forwarding[sizeof "/proc/sys/net/ipv6/conf//forwarding" + IFNAMSIZ];
  snprintf(forwarding, sizeof forwarding, "/proc/sys/net/ipv6/conf/%s/forwarding", name);
  int stopped = multicast && !up && !made_by_us && stop_forwarding(forwarding);
  no_multicast(netlink, index);
  if (stopped) write_setting(forwarding, '1');
  if (multicast && !up && made_by_us) forget_groups(control, &request);
  no_link_local(netlink, index);
  if (up) drop_link_local(netlink, index);
  no_redirects(netlink, index);
  close(netlink);
}

/* The kernel sends redirects if either the device or the whole namespace allows them. The kernel's
 * WireGuard device disables both when it comes up. */
int wg_tun_quiet_up(int control, const char *name) {
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFFLAGS, &request) != 0 || !(request.ifr_flags & IFF_UP)) return 0;
  write_setting("/proc/sys/net/ipv4/conf/all/send_redirects", '0');
  return 1;
}
