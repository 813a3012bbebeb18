/**
 * A Deployment of pods that talk to each other across the nodes, and what of it was lost. The test
 * and the pods exchange files in a folder of each node, so that nothing of it needs the API server.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../cluster/control-plane.ts';
import { countLosses, type Losses, type TrafficReport } from '../../cluster/losses.ts';
import { sleep, until } from '../../netns/command.ts';
import { ROOT } from '../../support/repository.ts';
import { IMAGE, type RealCluster } from './cluster.ts';
import type { Machine } from './machine.ts';

/** Time for datagrams on their way to arrive after the last was sent. */
const ARRIVAL_MS = 1_000;
const FOLDER = 'lib/talk';

interface Report extends TrafficReport {
  readonly round: number;
  readonly sending: boolean;
  readonly address: string;
  /** Sends that failed, by error code. */
  readonly failed: Readonly<Record<string, number>>;
}

export class Talkers {
  readonly #cluster: RealCluster;
  #round = 0;
  #peers: readonly string[] = [];
  #sending = false;

  private constructor(cluster: RealCluster) {
    this.#cluster = cluster;
  }

  /** Creates the Deployment, with as many pods on each node, and waits until all run. */
  static async deploy(cluster: RealCluster, perNode: number): Promise<Talkers> {
    const talkers = new Talkers(cluster);
    for (const machine of cluster.machines.values()) talkers.prepare(machine);
    await cluster.apply(deployment(perNode * cluster.machines.size));
    await talkers.untilAllRun();
    return talkers;
  }

  /** Puts the program and the current round on a machine. Call it for each new machine. */
  prepare(machine: Machine): void {
    mkdirSync(join(machine.disk, FOLDER), { recursive: true });
    copyFileSync(join(ROOT, 'test/real/cluster/talker.mjs'), join(machine.disk, FOLDER, 'talker.mjs'));
    this.#write(machine);
  }

  async scale(pods: number): Promise<void> {
    await this.#cluster.kubectl(['scale', 'deployment/talkers', `--replicas=${pods}`]);
  }

  /** Waits for the Deployment, and lets all its pods take part from the next round on. */
  async untilAllRun(): Promise<void> {
    await this.#cluster.kubectl(['rollout', 'status', 'deployment/talkers', '--timeout=120s']);
    const { items } = await this.#cluster.get<{ items: { status: { podIP?: string; phase: string } }[] }>(
      'pods',
      '-l',
      'app=talkers',
    );
    this.#peers = items.flatMap(({ status }) =>
      status.podIP !== undefined && status.phase === 'Running' ? [status.podIP] : [],
    );
  }

  /** The pods' addresses. */
  get addresses(): readonly string[] {
    return this.#peers;
  }

  /** Begins a new round: all pods send to all others. */
  begin(): void {
    this.#round++;
    this.#sending = true;
    this.#writeAll();
  }

  /** Ends the round, waits for the last datagrams, and compares. */
  async end(): Promise<Losses> {
    this.#sending = false;
    this.#writeAll();
    await sleep(ARRIVAL_MS);
    const reports = await until('the reports of all pods', () => {
      const all = this.reports();
      return this.#peers.every(peer => all.get(peer)?.sending === false) && all;
    });
    return compare(reports, this.#peers);
  }

  /** What the pods counted while the action ran. */
  async during(action: () => Promise<void>): Promise<Losses> {
    this.begin();
    await sleep(500);
    try {
      await action();
    } finally {
      await sleep(500);
    }
    return this.end();
  }

  /** Waits until every pod has something new from every other. */
  async untilAllTalk(): Promise<void> {
    this.begin();
    await until('all pairs of pods to talk', () => {
      const reports = this.reports();
      return this.#peers.every(to =>
        this.#peers.every(from => from === to || (reports.get(to)?.received[from]?.count ?? 0) > 0),
      );
    });
    await this.end();
  }

  /** The reports of this round, by address. */
  reports(): ReadonlyMap<string, Report> {
    const reports = new Map<string, Report>();
    for (const { disk } of this.#cluster.machines.values())
      for (const name of readdirSync(join(disk, FOLDER)).filter(each => /^report-.*\.json$/.test(each))) {
        const report = JSON.parse(readFileSync(join(disk, FOLDER, name), 'utf8')) as Report;
        if (report.round === this.#round) reports.set(report.address, report);
      }
    return reports;
  }

  #writeAll(): void {
    for (const machine of this.#cluster.machines.values()) this.#write(machine);
  }

  #write({ disk }: Machine): void {
    const file = join(disk, FOLDER, 'round.json');
    writeFileSync(`${file}.new`, JSON.stringify({ round: this.#round, sending: this.#sending, peers: this.#peers }));
    renameSync(`${file}.new`, file);
  }
}

function compare(reports: ReadonlyMap<string, Report>, peers: readonly string[]): Losses {
  const own = new Map(peers.map(peer => [peer, reports.get(peer)!]));
  const failures = [...own].flatMap(([from, { failed }]) =>
    Object.entries(failed).map(([code, count]) => `${from} could not send: ${code} ${count} times`),
  );
  const losses = countLosses(own);
  return { ...losses, pairs: [...failures, ...losses.pairs] };
}

function deployment(replicas: number): Manifest {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const labels = { app: 'talkers' };
  const spec = {
    replicas,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        terminationGracePeriodSeconds: 1,
        // As many pods on each node.
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'DoNotSchedule',
            labelSelector: { matchLabels: labels },
          },
        ],
        containers: [
          {
            name: 'talker',
            image: IMAGE,
            imagePullPolicy: 'IfNotPresent',
            command: ['/usr/bin/node', '/talk/talker.mjs'],
            env: [field('POD_IP', 'status.podIP'), field('POD_NAME', 'metadata.name')],
            volumeMounts: [{ name: 'talk', mountPath: '/talk' }],
          },
        ],
        volumes: [{ name: 'talk', hostPath: { path: '/var/lib/talk', type: 'DirectoryOrCreate' } }],
      },
    },
  };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'talkers', namespace: 'default' }, spec };
}
