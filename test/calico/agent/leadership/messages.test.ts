/** Messages between agents: what is read, and what is not. */
import { expect, test } from 'vitest';
import {
  type AgentIdentity,
  formatMessage,
  type Message,
  parseMessage,
} from '../../../../src/calico/agent/leadership/messages.ts';

const agent: AgentIdentity = { version: '0.3.0', pidNamespace: 'pid:[4026531836]', pid: 7, stateDirectory: '2049:77' };

test.each<Message>([
  { type: 'leader', agent },
  { type: 'step-down', agent },
  { type: 'step-down', agent, token: '0f' },
  { type: 'stepped-down' },
  { type: 'refused', reason: 'no' },
])('%j is read as it was written', message => {
  const line = formatMessage(message);
  expect(line.endsWith('}\n')).toBe(true);
  expect(parseMessage(line.trimEnd())).toEqual(message);
});

const line = (value: object): string => JSON.stringify({ protocol: 1, ...value });
test.each([
  '',
  'null',
  '[]',
  '{',
  line({ type: 'other' }),
  line({ type: 'leader' }),
  line({ type: 'leader', agent: { ...agent, pid: -1 } }),
  line({ type: 'leader', agent: { ...agent, pid: 1.5 } }),
  line({ type: 'leader', agent: { ...agent, version: '' } }),
  line({ type: 'step-down', agent: { ...agent, version: 'a\u001b[2J' } }),
  line({ type: 'step-down', agent: { ...agent, pidNamespace: 'x'.repeat(300) } }),
  line({ type: 'step-down', agent, token: 7 }),
  line({ type: 'step-down', agent, token: '' }),
  line({ type: 'refused' }),
  line({ type: 'leader', agent, protocol: 2 }),
  line({ type: 'stepped-down', padding: 'x'.repeat(5000) }),
])('%j is not a message', text => {
  expect(parseMessage(text)).toBeUndefined();
});
