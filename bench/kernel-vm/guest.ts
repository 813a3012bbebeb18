/**
 * Runs inside the machine: the tunnel benchmark with the options that it is given. Whatever it saves is gone with the machine, whose
 * file system is in memory above the host's, so the results are printed.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadResults, RESULTS, ROOT } from '../results.ts';
import { formatResults } from './transcript.ts';

const before = new Set(saved());
// by pipes, since the console is a terminal: progress shall come in lines
const child = spawn(process.execPath, [join(ROOT, 'dist/bench/main.js'), 'tunnel', ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'pipe'],
});
let table = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  table += text;
});
// where it saved what nobody will find
createInterface(child.stderr).on('line', line => {
  if (line !== '' && !line.startsWith(RESULTS)) process.stdout.write(`${line}\n`);
});
child.once('close', status => {
  const found = saved().find(name => !before.has(name));
  process.stdout.write(found === undefined ? table : `\n${formatResults(loadResults(join(RESULTS, found)))}\n`);
  process.exitCode = status ?? 1;
});

function saved(): string[] {
  return existsSync(RESULTS) ? readdirSync(RESULTS).filter(name => /^tunnel-.*\.json$/.test(name)) : [];
}
