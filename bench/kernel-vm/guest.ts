/**
 * Runs the tunnel benchmark inside the virtual machine, with the given options. The machine's file
 * system is an overlay in memory that is lost when the machine ends, so this program prints the
 * results.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadResults, RESULTS, ROOT } from '../results.ts';
import { formatResults } from './transcript.ts';

const before = new Set(saved());
// Use pipes: on the console, which is a terminal, progress would not come line by line.
const child = spawn(process.execPath, [join(ROOT, 'dist/bench/main.js'), 'tunnel', ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'pipe'],
});
let table = '';
child.stdout.setEncoding('utf8').on('data', (text: string) => {
  table += text;
});
// Drop the line that names the saved files, which are lost with the machine.
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
