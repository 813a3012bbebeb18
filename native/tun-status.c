/* Reports the status of a TUN device: whether it is up, its MTU, its name, its counters. It may
 * have been renamed or moved to another network namespace since it was opened. TUNGETDEVNETNS
 * (Linux 5.1) finds its namespace. */
#define _GNU_SOURCE
#include "tun.h"
#include "lanes.h"
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

enum { LEAST_IPV6_MTU = 1280 };

struct visit {
  struct wg_tun *tun;
  const char *name;
  int netns;
  ino_t inode;
  int entered;
};

/* Reads the MTU and updates the state. `control` is a socket in the device's namespace, where the
 * calling thread must be too. */
static void look(struct wg_tun *tun, const char *name, int control, ino_t inode) {
  struct ifreq request = {0};
  int32_t before = tun->mtu;
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFMTU, &request) == 0) tun->mtu = request.ifr_mtu;
  /* another namespace has its own IPv6 settings, and an MTU too small for IPv6 drops them */
  int grown = before > 0 && before < LEAST_IPV6_MTU && tun->mtu >= LEAST_IPV6_MTU;
  if (!tun->quiet || tun->quiet_in != inode || grown) {
    wg_tun_quiet(control, name, tun->ours && !tun->quiet);
    tun->quiet_in = inode;
    tun->quiet = 1;
  }
  if (tun->quiet == 1 && wg_tun_quiet_up(control, name)) tun->quiet = 2;
}

/* Runs in a separate thread, which enters the device's namespace, looks, and ends. Therefore no
 * other thread changes its namespace, and no socket of ours keeps that namespace alive after its
 * last user has left. */
static void *enter(void *data) {
  struct visit *visit = data;
  if (setns(visit->netns, CLONE_NEWNET) != 0) return NULL;
  visit->entered = 1;
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return NULL;
  look(visit->tun, visit->name, control, visit->inode);
  close(control);
  return NULL;
}

int wg_tun_look(struct wg_tun *tun, const char *name) {
  struct stat now;
  struct visit visit = {.tun = tun, .name = name, .netns = ioctl(tun->fd, TUNGETDEVNETNS)};
  pthread_t thread;
  int away = visit.netns >= 0 && fstat(visit.netns, &now) == 0 && tun->home && now.st_ino != tun->home;
  visit.inode = away ? now.st_ino : tun->home;
  if (away) tun->overlay.port = 0;
  else if (tun->offloads & WG_TUN_UDPTNL && !tun->overlay_known) {
    wg_tun_find_overlay(tun, name);
    tun->overlay_known = 1;
  }
  if (!away) look(tun, name, tun->control, visit.inode);
  else if (tun->barred_in != visit.inode && pthread_create(&thread, NULL, enter, &visit) == 0) {
    pthread_join(thread, NULL);
    if (!visit.entered) {
      /* a process that gave up CAP_SYS_ADMIN never gets it back, so one attempt is enough */
      tun->barred_in = visit.inode;
      /* the move has undone the settings, and the next namespace may be the one that had them */
      tun->quiet_in = 0;
    }
  }
  if (visit.netns >= 0) close(visit.netns);
  if (!away) return WG_TUN_HOME;
  return visit.entered ? WG_TUN_AWAY : WG_TUN_HIDDEN;
}

/* tunStatus(handle, out): returns the device's name, or undefined if the device is gone. Writes
 * three numbers to `out`: up, MTU, and where the device is (WG_TUN_HOME, ...). */
napi_value wg_tun_status(napi_env env, napi_callback_info info) {
  napi_value arguments[2], name = NULL;
  struct wg_tun *tun;
  struct wg_array out;
  if (!wg_arguments(env, info, arguments, 2) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_int32_array, &out))
    return NULL;
  if (out.length < 3) return wg_throw_type(env, "out has no room for 3 numbers");
  struct ifreq request = {0};
  /* in any namespace, a TUN is writable if and only if it is up */
  struct pollfd ready = {.fd = tun->fd, .events = POLLOUT};
  if (tun->fd < 0 || ioctl(tun->fd, TUNGETIFF, &request) != 0 || poll(&ready, 1, 0) < 0 || ready.revents & (POLLERR | POLLNVAL))
    return wg_undefined(env);
  int32_t *to = out.data;
  /* what is found about VXLAN is for writing */
  wg_lanes_settle(tun->lanes);
  to[2] = wg_tun_look(tun, request.ifr_name);
  to[0] = (ready.revents & POLLOUT) != 0;
  to[1] = tun->mtu;
  napi_create_string_utf8(env, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ), &name);
  return name;
}

/* tunRetry(handle): ends the pause and looks for VXLAN. Call it after a change on the host, when
 * the kernel may accept merged packets again. */
napi_value wg_tun_retry(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct wg_tun *tun;
  struct ifreq request = {0};
  if (!wg_arguments(env, info, &argument, 1) || !(tun = wg_handle(env, argument, &WG_TUN_KIND))) return NULL;
  wg_lanes_settle(tun->lanes);
  tun->pausing = 0;
  memset(tun->refusals, 0, sizeof tun->refusals);
  tun->overlay.port = 0;
  tun->overlay_known = 0;
  if (tun->fd >= 0 && tun->offloads & WG_TUN_UDPTNL && ioctl(tun->fd, TUNGETIFF, &request) == 0) wg_tun_look(tun, request.ifr_name);
  return wg_undefined(env);
}

/* tunCounters(handle): returns counters, which never decrease, and the granted offloads. */
napi_value wg_tun_counters(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  struct wg_tun *tun;
  if (!wg_arguments(env, info, &argument, 1) || !(tun = wg_handle(env, argument, &WG_TUN_KIND))) return NULL;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  wg_lanes_settle(tun->lanes);
  wg_set_number(env, result, "offloads", tun->offloads);
  wg_set_number(env, result, "merged", (int64_t)tun->merged);
  wg_set_number(env, result, "unmerged", (int64_t)tun->unmerged);
  wg_set_number(env, result, "paused", (int64_t)tun->paused);
  wg_set_number(env, result, "pausing", tun->pausing);
  wg_set_number(env, result, "refused", (int64_t)tun->refused);
  wg_set_number(env, result, "malformed", (int64_t)tun->malformed);
  return result;
}

/* tunFail(handle, what, errno, count): for tests. Makes the next `count` operations of that kind
 * fail with that errno. */
napi_value wg_tun_fail(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct wg_tun *tun;
  int32_t what, err, count;
  if (!wg_arguments(env, info, arguments, 4) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_int(env, arguments[1], &what) || !wg_int(env, arguments[2], &err) || !wg_int(env, arguments[3], &count))
    return NULL;
  wg_lanes_settle(tun->lanes);
  tun->fail_what = what;
  tun->fail_errno = err;
  tun->fail_count = count;
  return wg_undefined(env);
}
