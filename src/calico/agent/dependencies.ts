/** What the agent is put together from. machine.ts and the command make the real ones; the tests have their own. */
import type { Watch } from '../../netlink/events.ts';
import type { Family } from '../../netlink/family.ts';
import type { AppliedState } from '../apply/applier.ts';
import type { Greeting } from '../apply/device/fresh-handshakes.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { Desired } from '../model/desired.ts';
import type { PlanOptions } from '../plan/config/options.ts';
import type { HostFacts } from '../plan/dataplane/mtu.ts';
import type { Allocation } from '../publish/ipam/allocator.ts';
import type { PublishClock, Publisher } from '../publish/publisher.ts';

export interface AgentParts {
  readonly datastore: Datastore;
  readonly applier: AgentApplier;
  readonly publisher: Pick<Publisher, 'publish' | 'withdraw' | 'see' | 'isPublished' | 'onRestored' | 'close'>;
  readonly machine: AgentMachine;
  /** `--allocate`. */
  readonly allocator?: AgentAllocator;
  readonly clock: PublishClock;
  /** 0 to 1. */
  random(): number;
  say(text: string): void;
  warn(text: string): void;
}

export interface AgentApplier {
  apply(desired: Desired, options?: { readonly full?: boolean }): Promise<AppliedState>;
  /** Rejects with what the device said. */
  greet(family: Family, greeting: Greeting, random: number, goesOn: () => boolean): Promise<void>;
  /** @throws NetlinkError */
  watch(onBroken: (what: string) => void, onEnd?: (error: Error) => void): Watch;
}

export interface AgentMachine {
  facts(): Promise<HostFacts>;
  /** Whether Felix can do without us. */
  kernelHasWireguard(): Promise<boolean>;
  /** Of the private key that is kept for this family, if there is one. @throws Error that names its file */
  ownPublicKey(family: Family): Uint8Array | undefined;
  /** Felix's configuration file, if there is one. */
  felixFile(): string | undefined;
}

export interface AgentAllocator {
  ensure(family: Family, annotated: string | undefined): Promise<Allocation>;
  release(family: Family, annotated: string | undefined): Promise<Allocation>;
}

export interface AgentOptions {
  readonly nodeName: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly plan: PlanOptions;
  /** Go on where the kernel has WireGuard itself. */
  readonly takeOver: boolean;
}
