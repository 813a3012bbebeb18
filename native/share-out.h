/* Shares work of tens of microseconds per item out over the machine's cores. */
#ifndef WG_SHARE_OUT_H
#define WG_SHARE_OUT_H

/* Calls work(argument, i) once for every i below count, here and on helper threads, and returns
 * when all are done. Any thread may take any item, so items must not touch each other's memory. */
void wg_share_out(void (*work)(void *argument, int i), void *argument, int count);
#endif
