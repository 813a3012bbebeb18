/** Where control groups with a memory limit are made on this machine, in either version. */
import { existsSync } from 'node:fs';

const V1 = '/sys/fs/cgroup/memory';

export const [MEMORY_GROUPS, MEMORY_LIMIT_FILE] = existsSync(V1)
  ? ([V1, 'memory.limit_in_bytes'] as const)
  : (['/sys/fs/cgroup', 'memory.max'] as const);
