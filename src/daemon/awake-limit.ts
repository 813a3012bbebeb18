/**
 * Decides how long the thread of a device may wait awake for a packet (native/spin.c). It does so
 * only between lone packets, and gives its core to any thread that wants it.
 */
/**
 * As long as the answer of a near host takes. A thread that is woken from sleep loses 5 to 50 us.
 */
const MICROSECONDS = 50;
/**
 * With fewer cores, a thread that waits awake is in the way of those that it waits for: with both
 * ends of a tunnel and their programs on two cores it cost 13 % of the transactions.
 */
const LEAST_CORES = 4;

/**
 * Returns the microseconds, or 0 if this process has too few cores.
 * @param available of the processors that it may keep busy (processors.ts): a CPU quota counts,
 * which waiting awake would use up
 */
export function awakeLimit(available: number): number {
  return available < LEAST_CORES ? 0 : MICROSECONDS;
}
