import { configDefaults, defineConfig } from 'vitest/config';

/** Random walks, and the real module in an emulated machine: they do not depend on Node's version. */
const SLOW = ['test/sim/walk*.test.ts', 'test/kernel-vm/**/*.test.ts'];
/** Clusters of many processes, which would make everything beside them late: after all others. Nor do they. */
const CLUSTERS = ['test/cluster/**/*.test.ts', 'test/deploy/**/*.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers only make the network tests late.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'most',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...SLOW, ...CLUSTERS],
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'slow', include: SLOW, sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'clusters', include: CLUSTERS, sequence: { groupOrder: 1 } } },
    ],
  },
});
