/**
 * `wgts verify`: lists pairs of the cluster's nodes, and whether each pair is encrypted. For a
 * large number of pairs, it prints a summary and only pairs that are not encrypted, so that a
 * person can read it.
 */

import { codedError } from '../../base/coded-error.ts';
import { formatKeyBase64 } from '../../base/key.ts';
import { openDatastore } from '../../calico/agent/source.ts';
import type { Snapshot } from '../../calico/datastore/datastore.ts';
import type { Problem } from '../../calico/model/problem.ts';
import { indexConfigurations } from '../../calico/plan/config/felix-config.ts';
import { clusterDataPlaneProblems } from '../../calico/plan/dataplane/felix-data-plane.ts';
import { eraseStatus } from '../../config/model.ts';
import * as texts from '../help/texts/verify.ts';
import { parseOptions } from '../parse-options.ts';
import { type Command, type Terminal, UsageError, useBackend } from '../terminal.ts';
import { type SourceOptions, source, text } from './calico-options.ts';
import { type LocalDevice, type VerifiedPair, VerifiedPairs } from './verified-pairs.ts';

interface VerifyOptions extends SourceOptions {
  readonly node?: string;
  readonly all: boolean;
  readonly json: boolean;
}

/** How long to wait for a server's answer, and for files, which are read at once. */
const TIMEOUT_MS = { server: 20_000, files: 3_000 } as const;
/** Maximum number of pairs printed without --all. */
const MOST_LINES = 200;
const MOST_NAMES = 20;
/** The exit status if the cluster cannot be read. A monitor must not mistake that for plaintext. */
const NOT_CHECKED = 3;
/** Number of characters to collect before each write. */
const CHUNK = 65_536;

export const verify: Command = async (args, terminal) => {
  const options = optionsOf(args);
  try {
    return await check(options, terminal);
  } catch (error) {
    throw Object.assign(error as Error, { exitStatus: NOT_CHECKED });
  }
};

async function check(options: VerifyOptions, terminal: Terminal): Promise<number> {
  const { node, json } = options;
  const { synced, stale, cluster, problems: read, apiGroup } = await firstSnapshot(options, terminal);
  if (!synced) throw codedError('EAGAIN', `the cluster cannot be read: ${stale ?? 'no answer'}`);
  const { felixConfigurations } = cluster;
  const unread = indexConfigurations(felixConfigurations).problems;
  const problems = [...read, ...unread, ...clusterDataPlaneProblems(felixConfigurations.values())];
  if (cluster.nodes.size === 0) {
    printProblems(problems, terminal);
    throw codedError('ENOENT', 'the cluster has no Nodes: there is nothing to verify');
  }
  if (node !== undefined && !cluster.nodes.has(node)) throw codedError('ENOENT', `there is no Node ${node}`);
  const found = new VerifiedPairs(cluster, await localDevices(terminal), node);
  let [all, plain] = [0, 0];
  for (const { encrypted } of found) {
    all++;
    if (!encrypted) plain++;
  }
  // Without any pair, no node has a key, or the cluster has only one node.
  const encrypted = plain === 0 && (all > 0 || cluster.nodes.size === 1);
  if (json) await print(jsonOf(found, problems, { encrypted, all, plain, apiGroup }), terminal);
  else {
    const short = all > MOST_LINES && !options.all;
    await print(tableOf(found, short, terminal.now()), terminal);
    if (all === 0 && !encrypted) terminal.out('WireGuard is off, and no node has a key: nothing is encrypted\n');
    if (short) printSummary(found, all, plain, terminal);
    if (apiGroup !== undefined) terminal.out(`Calico's objects are read from ${apiGroup}\n`);
    printProblems(problems, terminal);
  }
  return encrypted ? 0 : 1;
}

function printProblems(problems: readonly Problem[], terminal: Terminal): void {
  for (const { object, reason, message } of problems) terminal.err(`${object}: ${reason}: ${message}\n`);
}

function optionsOf(args: readonly string[]): VerifyOptions {
  const { values } = parseOptions(texts.verify, args);
  const node = text(values, 'node');
  if (values['all'] && values['json']) throw new UsageError('--json prints each pair anyway: leave --all out');
  return {
    ...source(values),
    ...(node !== undefined && { node }),
    all: values['all'] === true,
    json: values['json'] === true,
  };
}

async function firstSnapshot(options: VerifyOptions, terminal: Terminal): Promise<Snapshot> {
  const datastore = await openDatastore({ ...options, env: terminal.env, log: () => {} });
  const patience = options.clusterFrom === undefined ? TIMEOUT_MS.server : TIMEOUT_MS.files;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Snapshot>((resolve, reject) => {
      let last: Snapshot | undefined;
      timer = setTimeout(() => {
        if (last) resolve(last);
        else reject(codedError('EAGAIN', 'the cluster cannot be read: no answer'));
      }, patience);
      datastore.watch(snapshot => {
        last = snapshot;
        if (snapshot.synced) resolve(snapshot);
      });
    });
  } finally {
    clearTimeout(timer);
    await datastore.close();
  }
}

/**
 * Returns the devices of this node. Returns none if there is no device or the user may not read it.
 */
async function localDevices(terminal: Terminal): Promise<Map<string, LocalDevice>> {
  const devices = new Map<string, LocalDevice>();
  await useBackend(terminal, async backend => {
    for (const name of await backend.list().catch(() => [])) {
      const status = await backend.get(name).catch(() => undefined);
      if (!status?.publicKey) continue;
      eraseStatus(status);
      const peers = new Map(status.peers.map(peer => [formatKeyBase64(peer.publicKey), peer]));
      devices.set(formatKeyBase64(status.publicKey), { backend: (await backend.of(name)).kind, peers });
    }
  });
  return devices;
}

/**
 * Writes the pieces. Waits for a slow reader, because half a million lines would otherwise stay in
 * memory.
 */
async function print(pieces: Iterable<string>, terminal: Terminal): Promise<void> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < CHUNK) continue;
    terminal.out(text);
    text = '';
    await terminal.drained?.();
  }
  terminal.out(text);
}

function* jsonOf(
  found: Iterable<VerifiedPair>,
  problems: readonly Problem[],
  { encrypted, all, plain, apiGroup }: { encrypted: boolean; all: number; plain: number; apiGroup: string | undefined },
): Generator<string> {
  const from = apiGroup === undefined ? '' : `"apiGroup":${JSON.stringify(apiGroup)},`;
  yield `{"encrypted":${encrypted},"pairCount":${all},"plaintextCount":${plain},${from}"pairs":[`;
  let separator = '\n';
  for (const pair of found) {
    yield separator + JSON.stringify(pair);
    separator = ',\n';
  }
  yield `],\n"problems":${JSON.stringify(problems)}}\n`;
}

const HEADINGS = ['FAMILY', 'NODE', 'NODE', 'STATE', 'BACKEND', 'HANDSHAKE', 'WHY NOT'];

/**
 * Formats a table whose columns are as wide as their content.
 * @param short prints only pairs that are not encrypted, up to a limit
 */
function* tableOf(found: Iterable<VerifiedPair>, short: boolean, now: number): Generator<string> {
  const rows = function* (): Generator<readonly string[]> {
    let printed = 0;
    for (const pair of found) {
      if (short && (pair.encrypted || printed === MOST_LINES)) continue;
      if (printed++ === 0) yield HEADINGS;
      yield cells(pair, now);
    }
  };
  const widths = HEADINGS.map(() => 0);
  for (const row of rows()) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i]!, cell.length);
  for (const row of rows()) {
    const line = row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ');
    yield `${line.trimEnd()}\n`;
  }
}

function cells({ family, a, b, encrypted, because, backend, lastHandshake }: VerifiedPair, now: number): string[] {
  const state = encrypted ? 'encrypted' : 'PLAINTEXT';
  return [`IPv${family}`, a, b, state, backend ?? '-', handshake(lastHandshake, now), because.join(', ')];
}

function handshake(seconds: number | undefined, now: number): string {
  if (seconds === undefined) return '-';
  return seconds === 0 ? 'never' : `${Math.max(0, now - seconds)} s ago`;
}

function printSummary(found: VerifiedPairs, all: number, plain: number, { out }: Terminal): void {
  if (plain > MOST_LINES) out(`... and ${plain - MOST_LINES} more pairs in the clear: --all prints each\n`);
  out(`${all - plain} of ${all} pairs are encrypted, ${plain} are PLAINTEXT\n`);
  for (const [reason, names] of found.plainNodes) {
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    out(
      `${reason}: ${names.length} node${names.length === 1 ? '' : 's'}: ${names.slice(0, MOST_NAMES).join(', ')}${more}\n`,
    );
  }
}
