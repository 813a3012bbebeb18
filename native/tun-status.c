/* How a TUN device is: up or not, its MTU, its name. It may have been renamed, and moved to another network namespace since it was
 * opened; TUNGETDEVNETNS (Linux 5.1) then leads to it. */
#define _GNU_SOURCE
#include "tun.h"
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

struct visit {
  int netns;
  int control;
};

/* A thread of its own enters the namespace, opens a socket there, and ends: no other thread of the process ever changes. */
static void *enter(void *data) {
  struct visit *visit = data;
  visit->control = -1;
  if (setns(visit->netns, CLONE_NEWNET) == 0) visit->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return NULL;
}

static int control_in(int netns) {
  struct visit visit = {.netns = netns, .control = -1};
  pthread_t thread;
  if (pthread_create(&thread, NULL, enter, &visit) != 0) return -1;
  pthread_join(thread, NULL);
  return visit.control;
}

/* Returns whether the device is in the namespace where it was opened. The MTU stays what it was if it cannot be found out. */
static int look_up_mtu(struct wg_tun *tun, const char *name) {
  struct ifreq request = {0};
  struct stat now;
  int control = tun->control, home = 1;
  int netns = ioctl(tun->fd, TUNGETDEVNETNS);
  if (netns >= 0 && fstat(netns, &now) == 0 && tun->home && now.st_ino != tun->home) {
    /* not kept: a socket would keep that namespace alive after everybody else left it */
    home = 0;
    control = control_in(netns);
  }
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (control >= 0 && ioctl(control, SIOCGIFMTU, &request) == 0) tun->mtu = request.ifr_mtu;
  if (control >= 0 && control != tun->control) close(control);
  if (netns >= 0) close(netns);
  return home;
}

/* tunStatus(handle, out): the name, or undefined when the device is gone; out: [up, mtu, at home]. */
napi_value wg_tun_status(napi_env env, napi_callback_info info) {
  napi_value arguments[2], name = NULL;
  struct wg_tun *tun;
  struct wg_array out;
  if (!wg_arguments(env, info, arguments, 2) || !(tun = wg_handle(env, arguments[0], &WG_TUN_KIND)) ||
      !wg_array(env, arguments[1], napi_int32_array, &out))
    return NULL;
  if (out.length < 3) return wg_throw_type(env, "out has no room for 3 numbers");
  struct ifreq request = {0};
  /* a TUN that is up is always writable, and one that is down never; no matter where it is */
  struct pollfd ready = {.fd = tun->fd, .events = POLLOUT};
  if (tun->fd < 0 || ioctl(tun->fd, TUNGETIFF, &request) != 0 || poll(&ready, 1, 0) < 0 || ready.revents & (POLLERR | POLLNVAL))
    return wg_undefined(env);
  int32_t *to = out.data;
  to[2] = look_up_mtu(tun, request.ifr_name);
  to[0] = (ready.revents & POLLOUT) != 0;
  to[1] = tun->mtu;
  napi_create_string_utf8(env, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ), &name);
  return name;
}
