/**
 * `npm run bench -- micro`: checks that each part and its alternatives produce the same output,
 * then times them.
 */
import { Progress } from '../progress.ts';
import { type Contest, crossCheck, type Subject } from './contest.ts';
import { handshake } from './handshake.ts';
import { offload } from './offload.ts';
import { replay } from './replay.ts';
import { routing } from './routing.ts';
import { type MicroRow, makeRow, markdown, significant } from './rows.ts';
import { type Effort, QUICK, THOROUGH, time } from './stopwatch.ts';
import { transport } from './transport.ts';

export interface MicroOptions {
  /** Names of subjects; empty means all. */
  readonly only?: readonly string[];
  readonly quick?: boolean;
}

const SUBJECTS: readonly Subject[] = [transport, offload, routing, replay, handshake];

/**
 * Times everything. Prints a progress line on stderr and the tables on stdout.
 * @throws Error if a subject is unknown, or if contenders produce different results
 */
export function runMicro({ only = [], quick = false }: MicroOptions = {}): MicroRow[] {
  const subjects = chosen(only);
  const progress = new Progress(subjects.reduce((sum, { contests }) => sum + contests.length, 0));
  const rows: MicroRow[] = [];
  for (const subject of subjects)
    for (const contest of subject.contests) {
      progress.begin(contest.name);
      const measured = runContest(subject, contest, quick ? QUICK : THOROUGH);
      const outcome = measured.map(({ contender, microseconds }) => `${contender} ${significant(microseconds)}`);
      progress.end(contest.name, `${outcome.join('; ')} µs/${subject.unit}`);
      rows.push(...measured);
    }
  progress.finish();
  process.stdout.write(markdown(subjects, rows));
  return rows;
}

function chosen(only: readonly string[]): readonly Subject[] {
  const unknown = only.filter(name => !SUBJECTS.some(subject => subject.name === name));
  if (unknown.length > 0)
    throw new Error(
      `no such subject: ${unknown.join(', ')}; there are: ${SUBJECTS.map(({ name }) => name).join(', ')}`,
    );
  return SUBJECTS.filter(({ name }) => only.length === 0 || only.includes(name));
}

function runContest(subject: Subject, contest: Contest, effort: Effort): MicroRow[] {
  const prepared = contest.prepare();
  crossCheck(subject.name, contest, prepared);
  const overhead = prepared.overhead ? time('overhead', () => prepared.overhead?.(), effort).seconds : 0;
  return prepared.contenders.map(contender =>
    makeRow(
      subject,
      contest,
      contender.name,
      time(contender.name, () => contender.run(), effort),
      overhead,
    ),
  );
}
