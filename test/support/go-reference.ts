/**
 * Runs texts through Go's libraries (test/calico/plan/go), the reference for our parsers of what
 * Felix reads with them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface GoQuestion {
  readonly kind: 'ini' | 'regexp' | 'int' | 'uint' | 'float' | 'duration';
  readonly text: string;
  /** Texts that a `regexp` is matched against. */
  readonly names?: readonly string[];
}

/** Go's result: `error` if Go rejects the text, otherwise the parsed value. */
export interface GoAnswer {
  readonly error?: string;
  readonly values?: Readonly<Record<string, string>>;
  readonly matches?: readonly boolean[];
  readonly value?: string;
}

const SOURCE = fileURLToPath(new URL('../calico/plan/go/', import.meta.url));

export function askGo(questions: readonly GoQuestion[]): GoAnswer[] {
  const folder = mkdtempSync(join(tmpdir(), 'wgts-go-'));
  try {
    const program = join(folder, 'reference');
    const built = spawnSync('go', ['build', '-mod=readonly', '-o', program, '.'], { cwd: SOURCE, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr || String(built.error));
    const input = questions.map(question => `${JSON.stringify(question)}\n`).join('');
    const { stdout, stderr, status } = spawnSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(stderr);
    return stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as GoAnswer);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
