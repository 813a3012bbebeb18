/* Waits awake for the next packet (spin.c), between the callbacks of a loop (poll.c). */
#ifndef WG_SPIN_H
#define WG_SPIN_H
#include "addon.h"

typedef struct uv_loop_s uv_loop_t;

/* Call it when packets have come, before they are handled. */
void wg_spin_woken(void);
/* Call it when they have been handled and nothing else has to run. Returns when the loop has
 * something to do, or soon. */
void wg_spin(uv_loop_t *loop);
#endif
