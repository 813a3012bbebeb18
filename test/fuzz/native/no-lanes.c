/* A device without lanes (native/lanes.h): there is nothing to wait for. */
#include "lanes.h"

void wg_lanes_settle(struct wg_lanes *lanes) { (void)lanes; }
void wg_lanes_rest(struct wg_lanes *lanes) { (void)lanes; }
void wg_lanes_close(struct wg_lanes *lanes) { (void)lanes; }
void wg_lanes_unref(struct wg_lanes *lanes) { (void)lanes; }
