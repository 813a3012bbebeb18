/* Reports over rtnetlink that links, or addresses and routes, have changed. The listener finds out
 * what exactly changed. If the kernel lost a notice (ENOBUFS), everything counts as changed. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* MOST_AT_ONCE: the most datagrams that one call reads. If more are left, the loop calls again. */
enum { NOTICE_LINKS = 1, NOTICE_ROUTES = 2, MOST_AT_ONCE = 64 };

static const napi_type_tag KIND = {WG_TAG, 0x77672d6e6f746963};

struct notices {
  int fd; /* -1 when closed */
};

static void close_notices(struct notices *notices) {
  if (notices->fd >= 0) close(notices->fd);
  notices->fd = -1;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  close_notices(data);
  free(data);
}

static uint32_t groups_of(int32_t what) {
  uint32_t groups = 0;
  if (what & NOTICE_LINKS) groups |= RTMGRP_LINK;
  if (what & NOTICE_ROUTES) groups |= RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  return groups;
}

/* Opens the socket. Returns 0, or an errno with the name of the call in *call. */
static int open_notices(struct notices *notices, int32_t what, const char **call) {
  *call = "socket";
  notices->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (notices->fd < 0) return errno;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups_of(what)};
  *call = "bind";
  return bind(notices->fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0;
}

/* noticesOpen(what): returns a handle. Throws system errors. */
static napi_value notices_open(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  int32_t what;
  if (!wg_arguments(env, info, &argument, 1) || !wg_int(env, argument, &what)) return NULL;
  struct notices *notices = calloc(1, sizeof *notices);
  if (!notices) return wg_throw_errno(env, "calloc", ENOMEM);
  const char *call;
  int err = open_notices(notices, what, &call);
  if (err || !(result = wg_make_handle(env, notices, release, &KIND))) {
    release(env, notices, NULL);
    return err ? wg_throw_errno(env, call, err) : NULL;
  }
  return result;
}

/* noticesFd(handle): returns the descriptor for pollStart; -1 when closed. */
static napi_value notices_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct notices *notices;
  if (!wg_arguments(env, info, &argument, 1) || !(notices = wg_handle(env, argument, &KIND))) return NULL;
  return wg_number(env, notices->fd);
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

/* noticesDrain(handle): reads up to MOST_AT_ONCE datagrams. Returns what changed, as NOTICE_*
 * bits. */
static napi_value notices_drain(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct notices *notices;
  int32_t what = 0;
  if (!wg_arguments(env, info, &argument, 1) || !(notices = wg_handle(env, argument, &KIND))) return NULL;
  char buffer[8192] __attribute__((aligned(8)));
  for (int taken = 0; taken < MOST_AT_ONCE; taken++) {
    struct sockaddr_nl from;
    socklen_t from_length = sizeof from;
    ssize_t got = recvfrom(notices->fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      what = NOTICE_LINKS | NOTICE_ROUTES;
      continue;
    }
    if (got <= 0) break;
    if (from.nl_pid != 0) continue; /* not from the kernel */
    /* must be signed: NLMSG_NEXT also subtracts padding after the last message, which may have no
     * padding */
    int left = (int)got;
    for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) what |= meaning(m);
  }
  return wg_number(env, what);
}

/* noticesClose(handle): closes the socket. May be called again. Stop polling first. */
static napi_value notices_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct notices *notices;
  if (!wg_arguments(env, info, &argument, 1) || !(notices = wg_handle(env, argument, &KIND))) return NULL;
  close_notices(notices);
  return wg_undefined(env);
}

static const struct wg_function FUNCTIONS[] = {
    {"noticesOpen", notices_open},
    {"noticesFd", notices_fd},
    {"noticesDrain", notices_drain},
    {"noticesClose", notices_close},
    {NULL, NULL},
};
const struct wg_exports wg_exports_notices = {FUNCTIONS, NULL};
