/** Events: each state once while it lasts, and never a flood. */
import { beforeEach, expect, test } from 'vitest';
import { EventWriter } from '../../../../src/calico/agent/report/event-writer.ts';
import { type AgentStatus, FIRST_STATUS } from '../../../../src/calico/agent/status.ts';
import type { NodeEvent } from '../../../../src/calico/datastore/datastore.ts';
import type { Problem } from '../../../../src/calico/model/problem.ts';
import type { Plan } from '../../../../src/calico/plan/input.ts';

let events: NodeEvent[];
let writer: EventWriter;

beforeEach(() => {
  events = [];
  writer = new EventWriter('n1', event => void events.push(event));
});

const problem = (number: number): Problem => ({ object: `Node/n${number}`, reason: 'NoKey', message: `${number}` });
const status = (change: Partial<AgentStatus>): AgentStatus => ({ ...FIRST_STATUS, phase: 'running', ...change });
const on = { desired: { tunnels: { 4: {} } }, problems: [] } as unknown as Plan;
const off = { desired: { tunnels: {} }, problems: [] } as unknown as Plan;
const state = (ready: boolean, backend: 'kernel' | 'userspace' = 'userspace') => ({
  tunnels: { 4: { ready, interfaceName: 'wg', backend } },
  changes: 0,
});
const told = (): string[] => events.splice(0).map(({ type, reason, message }) => `${type} ${reason} ${message}`);

test('reports a problem once while it lasts, and again when it recurs', () => {
  writer.write(status({ problems: [problem(1)] }));
  expect(told()).toEqual(['Warning NoKey Node/n1: 1']);
  writer.write(status({ problems: [problem(1), problem(2), problem(2)] }));
  expect(told()).toEqual(['Warning NoKey Node/n2: 2']);
  writer.write(status({ problems: [] }));
  writer.write(status({ problems: [problem(1)] }));
  expect(told()).toEqual(['Warning NoKey Node/n1: 1']);
});

test('a thousand problems: reports some and, once, that there are more; the others as these are resolved', () => {
  const many = Array.from({ length: 1000 }, (_, i) => problem(i));
  for (let i = 0; i < 10; i++) writer.write(status({ problems: many }));
  const first = told();
  expect(first.length).toBe(21);
  expect(first.at(-1)).toMatch(/MoreProblems/);
  writer.write(status({ problems: many.slice(5) }));
  expect(told()).toEqual([20, 21, 22, 23, 24].map(i => `Warning NoKey Node/n${i}: ${i}`));
  writer.write(status({ problems: many.slice(990) }));
  expect(told().length).toBe(10);
  writer.write(status({ problems: many }));
  expect(told().at(-1)).toMatch(/MoreProblems/);
});

test('reports the begin and end of encryption before all problems', () => {
  writer.write(status({ plan: on, applied: state(false) }));
  expect(told()).toEqual([]);
  writer.write(status({ plan: on, applied: state(true), problems: [problem(1)] }));
  expect(told()[0]).toBe('Normal EncryptionReady IPv4 pod traffic is encrypted by WireGuard in userspace, wg');
  writer.write(status({ plan: on, applied: state(true), problems: [problem(1)] }));
  expect(told()).toEqual([]);
  writer.write(status({ plan: on, applied: state(false) }));
  expect(told()).toEqual(['Warning EncryptionEnded IPv4 pod traffic is no longer encrypted']);
  writer.write(status({ plan: on, applied: state(true, 'kernel') }));
  expect(told()[0]).toMatch(/by the kernel's WireGuard/);
  writer.write(status({ plan: off, applied: { tunnels: {}, changes: 0 } }));
  expect(told()[0]).toMatch(/^Normal EncryptionEnded .*encryption is off, or left to Felix/);
});

test('hand-over, once each time', () => {
  writer.write(status({ plan: on, applied: state(true) }));
  told();
  const handedOver = status({ phase: 'handed-over', plan: on, applied: { tunnels: {}, changes: 1 } });
  writer.write(handedOver);
  expect(told().map(each => each.split(' ')[1])).toEqual(['EncryptionEnded', 'HandedOver']);
  writer.write(handedOver);
  expect(told()).toEqual([]);
  writer.write(status({ plan: on, applied: state(true) }));
  told();
  writer.write(handedOver);
  expect(told().length).toBe(2);
});
