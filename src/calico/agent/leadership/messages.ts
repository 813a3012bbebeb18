/**
 * The messages between two agents on one node: lines of JSON. The leader introduces itself to each
 * connection. The other agent may then ask it to step down, with the token of their key folder
 * (step-down-token.ts), and the leader answers once it has stopped, or refuses. The connection
 * stays open afterwards: when it ends, the leader's successor has ended.
 *
 * The first agents with this protocol sent and expected no token. They ignore unknown fields, so
 * such a leader steps down for a newer agent that sends one. Such an agent cannot replace a newer
 * leader: delete the leader's pod.
 */

/** An older agent cannot be asked if it speaks another version. */
const PROTOCOL = 1;
/** A longer line is not one of these messages. */
export const LONGEST_LINE = 4096;
const LONGEST_TEXT = 256;

/** An agent as it introduces itself to the other agents on its node. */
export interface AgentIdentity {
  /** The version of the program. */
  readonly version: string;
  /** The PID namespace, as /proc/self/ns/pid shows it: containers have their own. */
  readonly pidNamespace: string;
  /** The process in that namespace. */
  readonly pid: number;
  /** The state directory by device and inode, which is the same through every mount. */
  readonly stateDirectory: string;
}

export type Message =
  | { readonly type: 'leader'; readonly agent: AgentIdentity }
  | { readonly type: 'step-down'; readonly agent: AgentIdentity; readonly token?: string }
  | { readonly type: 'stepped-down' }
  | { readonly type: 'refused'; readonly reason: string };

export function formatMessage(message: Message): string {
  return `${JSON.stringify({ protocol: PROTOCOL, ...message })}\n`;
}

/** Parses a line without its end. @returns undefined if it is not a message of this protocol */
export function parseMessage(line: string): Message | undefined {
  if (line.length > LONGEST_LINE) return undefined;
  let value: Readonly<Record<string, unknown>>;
  try {
    value = Object(JSON.parse(line)) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  if (value['protocol'] !== PROTOCOL) return undefined;
  const { type } = value;
  if (type === 'stepped-down') return { type };
  if (type === 'refused') return isText(value['reason']) ? { type, reason: value['reason'] } : undefined;
  if (type !== 'leader' && type !== 'step-down') return undefined;
  const agent = parseIdentity(value['agent']);
  const { token } = value;
  if (!agent || type === 'leader' || token === undefined) return agent && { type, agent };
  return isText(token) ? { type, agent, token } : undefined;
}

/** Describes an agent for the log. */
export function describeAgent({ version, pidNamespace, pid }: AgentIdentity): string {
  return `version ${version}, process ${pid} in ${pidNamespace}`;
}

function parseIdentity(value: unknown): AgentIdentity | undefined {
  const { version, pidNamespace, pid, stateDirectory } = Object(value) as Readonly<Record<string, unknown>>;
  if (!isText(version) || !isText(pidNamespace) || !isText(stateDirectory)) return undefined;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 0) return undefined;
  return { version, pidNamespace, pid, stateDirectory };
}

/** Only printable text, because it is logged. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_TEXT && /^[\x20-\x7e]+$/.test(value);
}
