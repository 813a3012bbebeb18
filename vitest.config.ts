import { configDefaults, defineConfig } from 'vitest/config';
import { HANG_MS } from './test/support/patience.ts';
import { APART, filesOf, MOST, SLOW } from './test/support/selection.ts';
import { SkipSummary } from './test/support/skip-summary.ts';

export default defineConfig({
  test: {
    // They end what hangs; nothing is expected of a clock (test/support/patience.ts).
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // Devices in the background would leave log files on this machine; tests of the log ask for a
    // place.
    env: { WGTS_LOG: 'none' },
    expect: { poll: { timeout: HANG_MS } },
    // Two cores: more workers only make the network tests late.
    maxWorkers: 2,
    reporters: ['default', new SkipSummary()],
    tags: [{ name: SLOW, description: 'slow by nature: npm run test:all' }],
    projects: [
      {
        extends: true,
        test: {
          name: MOST,
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...APART.map(filesOf)],
          sequence: { groupOrder: 0 },
        },
      },
      ...APART.map(suite => ({
        extends: true as const,
        test: {
          name: suite.name,
          include: [filesOf(suite)],
          // Clusters of many processes would make everything beside them late: after all others.
          sequence: { groupOrder: ['kubernetes', 'real'].indexOf(suite.name) + 1 },
        },
      })),
    ],
  },
});
