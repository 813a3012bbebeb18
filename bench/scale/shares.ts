/**
 * Holds each thread of a process to a share of a core, in a control group of its own. It uses the
 * cpu controller of control groups v1, whose `tasks` takes the id of a thread. In v2 only threaded
 * groups do, and only if the controller is not in use by v1.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = '/sys/fs/cgroup/cpu';
/** Short, so that a thread that waits for another one does not lose much of its own share. */
const PERIOD_US = 20_000;
const TRIES = 50;
const PAUSE_MS = 20;

export class Shares {
  readonly #folder: string;
  readonly #groups: string[] = [];

  /** @throws Error on a machine without this controller */
  constructor(name: string) {
    if (!existsSync(join(ROOT, 'cpu.cfs_quota_us')))
      throw new Error(`no thread can be held to a share of a core here: there is no ${ROOT}/cpu.cfs_quota_us (v1)`);
    this.#folder = join(ROOT, name);
  }

  /** Moves each thread that the process has now, its helpers too, to a group of its own. */
  hold(pid: number, share: number): void {
    mkdirSync(this.#folder);
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const group = join(this.#folder, task);
      mkdirSync(group);
      this.#groups.push(group);
      writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(group, 'cpu.cfs_quota_us'), String(Math.round(PERIOD_US * share)));
      writeFileSync(join(group, 'tasks'), task);
    }
  }

  /** Removes the groups, once the process has ended. */
  async release(): Promise<void> {
    if (!existsSync(this.#folder)) return;
    for (const group of [...this.#groups, this.#folder])
      for (let left = TRIES; ; left--)
        try {
          rmdirSync(group);
          break;
        } catch (error) {
          // the kernel empties the group a moment after the end of the thread
          if (left === 0) throw error;
          await sleep(PAUSE_MS);
        }
  }
}
