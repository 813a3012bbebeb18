/* Distributes work over the machine's cores. Each item should take tens of microseconds. */
#ifndef WG_SHARE_OUT_H
#define WG_SHARE_OUT_H

/* Calls work(argument, i) once for every i below `count`, in this thread and in helper threads.
 * Returns when all calls are done. Any thread may take any item, so items must not touch each
 * other's memory. */
void wg_share_out(void (*work)(void *argument, int i), void *argument, int count);
#endif
