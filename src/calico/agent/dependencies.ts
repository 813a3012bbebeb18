/**
 * The agent's dependencies. machine.ts and `wgts calico` build the real ones; tests pass their own.
 * The input of a plan is read from them.
 */
import type { TimerClock } from '../../base/clock.ts';
import type { Family } from '../../base/family.ts';
import type { Watch } from '../../netlink/events.ts';
import type { AppliedState } from '../apply/applier.ts';
import type { HandshakeRefresh } from '../apply/device/fresh-handshakes.ts';
import type { TrustRecord } from '../apply/state/trust-file.ts';
import type { Datastore, Snapshot } from '../datastore/datastore.ts';
import type { PerFamily, PoolRange } from '../model/cluster.ts';
import type { Desired } from '../model/desired.ts';
import type { PlanOptions } from '../plan/config/options.ts';
import type { HostFacts } from '../plan/dataplane/mtu.ts';
import type { PlanInput } from '../plan/input.ts';
import type { Allocation } from '../publish/ipam/allocator.ts';
import type { Publisher } from '../publish/publisher.ts';

export interface AgentDependencies {
  readonly datastore: Datastore;
  readonly applier: AgentApplier;
  readonly publisher: Pick<Publisher, 'publish' | 'withdraw' | 'observe' | 'isPublished' | 'onRestored' | 'close'>;
  readonly machine: AgentMachine;
  /** Only present with `--allocate`. */
  readonly allocator?: AgentAllocator;
  readonly clock: TimerClock;
  /** Returns a number from 0 to 1, for jitter. */
  random(): number;
  log(text: string): void;
  warn(text: string): void;
}

export interface AgentApplier {
  apply(desired: Desired, options?: { readonly full?: boolean }): Promise<AppliedState>;
  /** Rejects with the device's error. */
  refreshHandshakes(
    family: Family,
    request: HandshakeRefresh,
    random: number,
    shouldContinue: () => boolean,
  ): Promise<void>;
  /** @throws NetlinkError */
  watch(onForeignChange: (what: string) => void, onEnd?: (error: Error) => void): Watch;
}

export interface AgentMachine {
  facts(): Promise<HostFacts>;
  /** Returns true if the kernel has WireGuard: Felix can then encrypt without this agent. */
  kernelHasWireguard(): Promise<boolean>;
  /**
   * Returns the public key of this family's stored private key, if there is one.
   * @throws Error that names the key file
   */
  ownPublicKey(family: Family): Uint8Array | undefined;
  /** Returns the text of Felix's configuration file, if there is one. */
  felixFile(): string | undefined;
  /** What agents of this node remember of the cluster. */
  readonly trust: TrustStore;
}

/** @see TrustFile */
export interface TrustStore {
  read(): TrustRecord;
  /** @throws Error that names the file */
  write(record: TrustRecord): void;
}

export interface AgentAllocator {
  ensure(family: Family, annotated: string | undefined): Promise<Allocation>;
  release(family: Family, annotated: string | undefined): Promise<Allocation>;
}

export interface AgentOptions {
  readonly nodeName: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly plan: PlanOptions;
  /** Whether to run tunnels even if the kernel has WireGuard itself. */
  readonly takeOver: boolean;
}

/** What a plan depends on beside this node's settings and the machine. */
export interface ClusterState extends Pick<Snapshot, 'cluster' | 'keyOwners' | 'apiServers'> {
  readonly formerPools?: readonly PoolRange[];
}

/** Reads everything that a plan of this node depends on. */
export async function planInput(
  { nodeName, environment, plan }: AgentOptions,
  machine: AgentMachine,
  { cluster, keyOwners, apiServers, formerPools }: ClusterState,
  ownPublicKey: PerFamily<Uint8Array>,
): Promise<PlanInput> {
  const felixFile = machine.felixFile();
  return {
    cluster,
    nodeName,
    environment,
    felixFile,
    options: plan,
    facts: await machine.facts(),
    ownPublicKey,
    ...(keyOwners && { keyOwners }),
    ...(apiServers && { apiServers }),
    ...(formerPools && { formerPools }),
  };
}
