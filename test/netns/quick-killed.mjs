// `wgts up` or `down` that kills itself by SIGKILL once it has announced the given number of steps.
// Arguments: up|down, the number, the file.
import { readFileSync } from 'node:fs';
import { down, up } from '../../dist/cli/commands/quick.js';

const [verb, at, file] = process.argv.slice(2);
let said = 0;
const terminal = {
  out: () => {},
  err: text => {
    if (text.startsWith('[#]') && ++said === Number(at)) process.kill(process.pid, 'SIGKILL');
  },
  input: () => readFileSync(0, 'utf8'),
  isTerminal: false,
  env: process.env,
  now: () => 0,
};
await { up, down }[verb]([file], terminal);
process.stdout.write(`${said}\n`);
