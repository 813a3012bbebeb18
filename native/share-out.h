/* Work of tens of microseconds an item, shared out over the machine's cores. */
#ifndef WG_SHARE_OUT_H
#define WG_SHARE_OUT_H

/* Calls work(argument, i) once for every i below count, here and on helper threads, and returns when all are done. Which thread does
 * which is not said: the items must not touch one another's memory. */
void wg_share_out(void (*work)(void *argument, int i), void *argument, int count);
#endif
