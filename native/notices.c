/* What the kernel says of itself over rtnetlink, as far as it matters here: that links, or that addresses and routes, changed. What
 * exactly changed is then looked up by whoever cares; a notice that was lost for want of room counts as one of everything. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams taken in one call; what is left wakes the loop again. */
enum { NOTICE_LINKS = 1, NOTICE_ROUTES = 2, MOST_AT_ONCE = 256 };

static uint32_t groups_of(int32_t what) {
  uint32_t groups = 0;
  if (what & NOTICE_LINKS) groups |= RTMGRP_LINK;
  if (what & NOTICE_ROUTES) groups |= RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  return groups;
}

/* noticesOpen(what): a descriptor, the caller's to poll and to close with noticesClose. */
static napi_value notices_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t what;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &what)) return NULL;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return wg_throw_errno(env, "socket", errno);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups_of(what)};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    int err = errno;
    close(fd);
    return wg_throw_errno(env, "bind", err);
  }
  return wg_number(env, fd);
}

static int meaning(const struct nlmsghdr *message) {
  switch (message->nlmsg_type) {
  case RTM_NEWLINK:
  case RTM_DELLINK:
    return NOTICE_LINKS;
  case RTM_NEWADDR:
  case RTM_DELADDR:
    return NOTICE_ROUTES;
  case RTM_NEWROUTE:
  case RTM_DELROUTE: {
    const struct rtmsg *route = NLMSG_DATA(message);
    if (message->nlmsg_len >= NLMSG_LENGTH(sizeof *route) && route->rtm_flags & RTM_F_CLONED) return 0;
    return NOTICE_ROUTES;
  }
  default:
    return 0;
  }
}

/* noticesDrain(fd): takes what is there, so much at once as MOST_AT_ONCE says; returns what it was about. */
static napi_value notices_drain(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t fd, what = 0;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &fd)) return NULL;
  char buffer[8192] __attribute__((aligned(8)));
  for (int taken = 0; taken < MOST_AT_ONCE; taken++) {
    struct sockaddr_nl from;
    socklen_t from_length = sizeof from;
    ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      what = NOTICE_LINKS | NOTICE_ROUTES;
      continue;
    }
    if (got <= 0) break;
    if (from.nl_pid != 0) continue; /* not from the kernel */
    /* signed: NLMSG_NEXT takes the padding of the last message off too, even where there is none */
    int left = (int)got;
    for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) what |= meaning(m);
  }
  return wg_number(env, what);
}

static napi_value notices_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t fd;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &fd)) return NULL;
  close(fd);
  return wg_undefined(env);
}

void wg_export_notices(napi_env env, napi_value exports) {
  wg_export(env, exports, "noticesOpen", notices_open);
  wg_export(env, exports, "noticesDrain", notices_drain);
  wg_export(env, exports, "noticesClose", notices_close);
}
