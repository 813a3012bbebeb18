/**
 * The test suites by name. `npm test` runs the one for every contributor, without tests tagged
 * `slow`: those are slow by nature (`{ tags: SLOW }`, or `@module-tag slow` for a whole file). `npm
 * run test:all` runs everything.
 */

export interface SuiteApart {
  readonly name: string;
  /** Path from the repository's root. */
  readonly folder: string;
  /** Title in the summary of a run without it. */
  readonly title: string;
  /** The command that runs it alone. */
  readonly command: string;
}

export const MOST = 'most';
export const SLOW = 'slow';

/** The suites that `npm test` does not run. */
export const APART: readonly SuiteApart[] = [
  {
    name: 'kernel-vm',
    folder: 'test/kernel-vm',
    title: 'real kernel module (qemu)',
    command: 'npm run test:kernel',
  },
  { name: 'kubernetes', folder: 'test/cluster', title: "Kubernetes' servers", command: 'npm run test:kubernetes' },
  { name: 'real', folder: 'test/real', title: 'real Kubernetes nodes', command: 'npm run test:real' },
];

/** The pattern of a suite's files. */
export const filesOf = ({ folder }: SuiteApart): string => `${folder}/**/*.test.ts`;
