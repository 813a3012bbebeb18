/**
 * The suites by name. `npm test` runs one of them, what a stranger waits for, and in it no test with vitest's tag `slow`: that is for a test that is
 * slow by nature (`{ tags: SLOW }`, or `@module-tag slow` for a whole file). `npm run test:all` runs everything.
 */

export interface SuiteApart {
  readonly name: string;
  /** From the root of the repository. */
  readonly folder: string;
  /** In the summary of a run that leaves it out. */
  readonly title: string;
  /** What runs it alone. */
  readonly command: string;
}

export const MOST = 'most';
export const SLOW = 'slow';

/** What `npm test` leaves out. */
export const APART: readonly SuiteApart[] = [
  {
    name: 'kernel-vm',
    folder: 'test/kernel-vm',
    title: 'real kernel module (qemu)',
    command: 'npm run test:kernel',
  },
  { name: 'kubernetes', folder: 'test/cluster', title: "Kubernetes' servers", command: 'npm run test:kubernetes' },
];

/** The pattern of a suite's files. */
export const filesOf = ({ folder }: SuiteApart): string => `${folder}/**/*.test.ts`;
