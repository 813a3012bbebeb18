/* A packet that may be merged with its neighbours, for coalesce.c. */
#ifndef WG_FLOW_H
#define WG_FLOW_H
#include "offload.h"

enum wg_flow_kind { FLOW_OTHER, FLOW_SINGLE, FLOW_MERGE, FLOW_BARRIER };

struct wg_flow {
  uint8_t *bytes;
  uint32_t length;
  uint8_t kind, version, protocol;
  uint8_t unsummed; /* UDP without a checksum */
  uint32_t upper, headers;
  uint32_t inner;       /* offset of the IP header in VXLAN, if TCP in it may be merged; 0: it may not */
  uint32_t inner_upper; /* offset of the TCP header in it */
};

void wg_flow_read(struct wg_flow *p, uint8_t *bytes, uint32_t length, const struct wg_overlay *overlay);
/* Returns the packet in VXLAN as a packet of its own. `inner` must be set. */
struct wg_flow wg_inner(const struct wg_flow *p);
int wg_same_flow(const struct wg_flow *p, const struct wg_flow *head);
int wg_sums_are_right(const struct wg_flow *p);
#endif
