// The program of a talking pod: sends numbered datagrams to all others and counts what arrives. Its
// only tie to the test is a folder of the node, /talk, so it goes on while the API server is away.
// The test writes `round.json` there: {round, sending, peers}. A new round begins at zero. Several
// times a second this program writes `report-NAME.json`:
// {round, sending, address, sent: {TO: COUNT}, received: {FROM: {count, doubled, longest}},
// failed: {CODE: COUNT}, overflows}. `longest` is the longest pause in milliseconds between two
// datagrams; `overflows` counts datagrams for which the own socket had no room.
import { createSocket } from 'node:dgram';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const PORT = 7778;
const INTERVAL_MS = 10;
const LOOK_MS = 100;
const SIZE = 64;
const MOST = 1 << 20;
const { POD_IP: own, POD_NAME: name } = process.env;
let state = { round: 0, sending: false, peers: [] };
let sent = {};
let received = {};
/** The round of what was received. */
let receivedIn = 0;
let failed = {};
let overflowsBefore = 0;

const socket = createSocket({ type: own.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
socket.on('error', () => {});
socket.on('message', (message, { address: from }) => {
  // Another pod may see a new round before this one does.
  const round = message.readUInt32BE(4);
  if (round < receivedIn) return;
  if (round > receivedIn) [received, receivedIn] = [{}, round];
  const now = performance.now();
  received[from] ??= { seen: new Uint8Array(MOST), count: 0, doubled: 0, last: now, longest: 0 };
  const one = received[from];
  if (one.seen[message.readUInt32BE(0) % MOST]++ > 0) one.doubled++;
  else one.count++;
  one.longest = Math.max(one.longest, now - one.last);
  one.last = now;
});
socket.bind(PORT, own);
setInterval(look, LOOK_MS);
setInterval(send, INTERVAL_MS);
process.on('SIGTERM', () => process.exit(0));

function send() {
  if (!state.sending) return;
  for (const other of state.peers) {
    if (other === own) continue;
    sent[other] ??= 0;
    const message = Buffer.alloc(SIZE);
    message.writeUInt32BE(sent[other]++, 0);
    message.writeUInt32BE(state.round, 4);
    socket.send(message, PORT, other, error => {
      if (error) failed[error.code] = (failed[error.code] ?? 0) + 1;
    });
  }
}

function look() {
  const next = readRound();
  if (next.round !== state.round) {
    [sent, failed, overflowsBefore] = [{}, {}, overflows()];
    if (receivedIn < next.round) [received, receivedIn] = [{}, next.round];
  }
  state = next;
  const ends = Object.entries(received).map(([from, { count, doubled, longest }]) => [
    from,
    { count, doubled, longest },
  ]);
  const { round, sending } = state;
  const report = { round, sending, address: own, sent, received: Object.fromEntries(ends), failed };
  const file = `/talk/report-${name}.json`;
  try {
    writeFileSync(`${file}.new`, JSON.stringify({ ...report, overflows: overflows() - overflowsBefore }));
    renameSync(`${file}.new`, file);
  } catch {
    // The next look writes again.
  }
}

function readRound() {
  try {
    return JSON.parse(readFileSync('/talk/round.json', 'utf8'));
  } catch {
    return state;
  }
}

/** The last column of /proc/net/udp counts datagrams that a socket had no room for. */
function overflows() {
  const lines = readFileSync(own.includes(':') ? '/proc/net/udp6' : '/proc/net/udp', 'utf8').split('\n');
  const port = PORT.toString(16).toUpperCase();
  const line = lines.find(each => each.trim().split(/\s+/)[1]?.endsWith(`:${port}`));
  return Number(line?.trim().split(/\s+/).at(-1) ?? 0);
}
