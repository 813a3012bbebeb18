/** The leadership of a node in memory, and agents that share it. Their processes can be killed. */
import {
  type Claim,
  type Holder,
  type LeadershipChannel,
  type Successor,
  shareLeadership,
} from '../../../../src/calico/agent/leadership/leadership.ts';
import type { AgentIdentity } from '../../../../src/calico/agent/leadership/messages.ts';

/** A promise and the function that resolves it. */
class Signal {
  readonly promise: Promise<void>;
  isSet = false;
  set: () => void = () => {};

  constructor() {
    this.promise = new Promise(resolve => {
      this.set = () => {
        this.isSet = true;
        resolve();
      };
    });
  }
}

interface Connection {
  readonly from: FakeAgent;
  readonly closed: Signal;
}

export class NodeLock {
  holder: FakeAgent | undefined;
  /** A holder that is no agent. */
  foreign: Holder | undefined;
  /** Whether something has the name that cannot be contacted. */
  isTaken = false;
  readonly connections = new Set<Connection>();
  /** Milliseconds. */
  time = 0;
  readonly #timers = new Set<{ readonly at: number; readonly end: () => void }>();
  onAsked: ((successor: Successor) => Promise<void>) | undefined;

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise(end => {
      this.#timers.add({ at: this.time + milliseconds, end });
      signal.addEventListener('abort', () => end());
      if (signal.aborted) end();
    });
  }

  /** Lets time pass, in steps of 50 ms. */
  async pass(milliseconds: number): Promise<void> {
    for (const end = this.time + milliseconds; this.time < end; ) {
      this.time += 50;
      for (const timer of this.#timers)
        if (timer.at <= this.time) {
          this.#timers.delete(timer);
          timer.end();
        }
      await settle();
    }
  }
}

export interface FakeAgentOptions {
  readonly pidNamespace: string;
  readonly stateDirectory?: string;
  /** Resolves when this agent has read and planned the cluster. */
  readonly planned?: Promise<void>;
}

/** One agent: `log` has what it does to the node. */
export class FakeAgent {
  readonly identity: AgentIdentity;
  readonly log: string[] = [];
  readonly said: string[] = [];
  readonly warned: string[] = [];
  readonly #lock: NodeLock;
  readonly #planned: Promise<void>;
  readonly #stop = new AbortController();
  readonly #ended = new Signal();
  readonly #own = new Set<Connection>();
  isLeading = false;
  /** Delays the end of the turn that runs when this agent is asked to step down. */
  turn: Promise<void> = Promise.resolve();
  result: Promise<void> = Promise.resolve();

  constructor(lock: NodeLock, { pidNamespace, stateDirectory = '1:1', planned = Promise.resolve() }: FakeAgentOptions) {
    this.#lock = lock;
    this.#planned = planned;
    this.identity = { version: '9.9.9', pidNamespace, pid: 1, stateDirectory };
  }

  start(): this {
    this.result = shareLeadership({
      channel: this.#channel(),
      self: this.identity,
      stop: this.#stop.signal,
      prepare: async signal => {
        this.log.push('prepare');
        await Promise.race([this.#planned, new Promise(resolve => signal.addEventListener('abort', resolve))]);
      },
      lead: async signal => {
        this.log.push('lead');
        this.isLeading = true;
        if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve));
        await this.turn;
        this.isLeading = false;
        this.log.push('stopped');
      },
      // The short pause between two attempts passes by itself.
      sleep: (milliseconds, signal) =>
        milliseconds > 50 ? this.#lock.sleep(milliseconds, signal) : new Promise(resolve => setImmediate(resolve)),
      now: () => this.#lock.time,
      log: text => void this.said.push(text),
      warn: text => void this.warned.push(text),
    });
    this.result.catch(() => {});
    return this;
  }

  /** SIGTERM. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.result;
    this.#disappear();
  }

  /** SIGKILL: the kernel frees the lock and closes the connections. */
  kill(): void {
    this.isLeading = false;
    this.#disappear();
  }

  #disappear(): void {
    if (this.#lock.holder === this) this.#lock.holder = undefined;
    this.#ended.set();
    for (const connection of this.#own) connection.closed.set();
  }

  #channel(): LeadershipChannel {
    return {
      claim: async () => {
        // A killed process claims nothing.
        if (this.#ended.isSet) return new Promise(() => {});
        if (this.#lock.holder || this.#lock.foreign || this.#lock.isTaken) return undefined;
        this.#lock.holder = this;
        let ask: (successor: Successor) => void = () => {};
        const asked = new Promise<Successor>(resolve => {
          ask = resolve;
        });
        let granted = new Signal();
        this.#lock.onAsked = async successor => {
          granted = new Signal();
          ask({ ...successor, grant: () => granted.set() });
          await Promise.race([granted.promise, this.#ended.promise]);
        };
        const claim: Claim = {
          asked,
          release: () => {
            if (this.#lock.holder === this) this.#lock.holder = undefined;
          },
        };
        return claim;
      },
      contact: async () => {
        const { foreign, holder } = this.#lock;
        if (foreign) return foreign;
        if (!holder) return undefined;
        return holder.#accept(this);
      },
    };
  }

  #accept(from: FakeAgent): Holder {
    const connection = { from, closed: new Signal() };
    from.#own.add(connection);
    const { onAsked } = this.#lock;
    return {
      kind: 'agent',
      agent: this.identity,
      description: this.identity.pidNamespace,
      ended: this.#ended.promise,
      askToStepDown: async () => {
        await onAsked!({ agent: from.identity, ended: connection.closed.promise, grant: () => {}, close: () => {} });
        return undefined;
      },
      close: () => connection.closed.set(),
    };
  }
}

/** Runs everything that is due. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve));
}
