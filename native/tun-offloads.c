/* Requests a TUN's offloads from the kernel. A kernel refuses the whole set if it does not know one
 * of them, so this requests fewer after each refusal. */
#include "offload.h"
#include "tun.h"
#include <linux/if_tun.h>
#include <sys/ioctl.h>

/* Added in Linux 6.2; older headers lack it. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
/* Added in Linux 6.17. */
#ifndef TUN_F_UDP_TUNNEL_GSO
#define TUN_F_UDP_TUNNEL_GSO 0x80
#define TUN_F_UDP_TUNNEL_GSO_CSUM 0x100
#endif

/* Requests super-packets of UDP tunnels, which need the larger vnet header. Returns whether the
 * kernel has them; if not, restores the size of the header. */
static int ask_tunnels(struct wg_tun *tun, unsigned long flags) {
  int header = WG_VNET_TUNNEL_SIZE;
  if (ioctl(tun->fd, TUNSETVNETHDRSZ, &header) == 0 &&
      ioctl(tun->fd, TUNSETOFFLOAD, flags | TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM) == 0) {
    tun->vnet = WG_VNET_TUNNEL_SIZE;
    return 1;
  }
  header = WG_VNET_HEADER_SIZE;
  ioctl(tun->fd, TUNSETVNETHDRSZ, &header);
  return 0;
}

int32_t wg_tun_ask_offloads(struct wg_tun *tun, int32_t wanted) {
  unsigned long flags = 0, uso = wanted & WG_TUN_USO ? TUN_F_USO4 | TUN_F_USO6 : 0;
  if (!(wanted & WG_TUN_CSUM)) wanted = 0;
  if (wanted & WG_TUN_CSUM) flags |= TUN_F_CSUM;
  if (wanted & WG_TUN_TSO4) flags |= TUN_F_TSO4;
  if (wanted & WG_TUN_TSO6) flags |= TUN_F_TSO6;
  if (wanted & WG_TUN_UDPTNL && ask_tunnels(tun, flags | uso)) return wanted;
  wanted &= ~WG_TUN_UDPTNL;
  if (wanted & WG_TUN_USO && ioctl(tun->fd, TUNSETOFFLOAD, flags | uso) == 0) return wanted;
  wanted &= ~WG_TUN_USO;
  if (ioctl(tun->fd, TUNSETOFFLOAD, flags) == 0) return wanted;
  ioctl(tun->fd, TUNSETOFFLOAD, 0ul);
  return 0;
}
