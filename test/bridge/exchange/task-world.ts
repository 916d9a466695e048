// Modern clients with tasks of one legacy server in memory.
import { expect } from 'vitest';
import type { FakeCall } from '../session/fake-sink.ts';
import { exchangeWorld, objectIn, resultOf, type CallOptions, type ExchangeWorld, type Json } from './world.ts';

export const extension = 'io.modelcontextprotocol/tasks';
const related = { 'io.modelcontextprotocol/related-task': { taskId: 't' } };
export const capabilities: Json = { elicitation: {}, extensions: { [extension]: {} } };
export const times: Json = { createdAt: '2025-11-25T10:30:00Z', lastUpdatedAt: '2025-11-25T10:40:00Z' };
export const tools: Json[] = [
  { name: 'slow', execution: { taskSupport: 'required' } },
  { name: 'either', execution: { taskSupport: 'optional' } },
  { name: 'fast', execution: { taskSupport: 'forbidden' } },
];
export const day: number = 24 * 60 * 60_000;

/** A server whose tools run as tasks. */
export function taskWorld(options: Parameters<typeof exchangeWorld>[0] = {}): ExchangeWorld {
  const world = exchangeWorld(options);
  world.introduction = {
    ...world.introduction,
    capabilities: { tools: {}, tasks: { cancel: {}, requests: { tools: { call: {} } } } },
  };
  return world;
}

/** Calls a tool, and lets the server list its tools if it is asked. Returns what the server was sent then. */
export function called(world: ExchangeWorld, name: string, options: CallOptions = {}): { call: FakeCall; sent: Json } {
  const call = world.call('tools/call', { name }, { capabilities, ...options });
  let sent = world.sent().at(-1);
  if (sent?.['method'] === 'tools/list') {
    world.say({ id: sent['id'], result: { tools } });
    sent = world.sent().at(-1);
  }
  return { call, sent: objectIn(sent) };
}

export interface Begun {
  readonly world: ExchangeWorld;
  readonly taskId: string;
  /** The request of the server's that waits for the result. */
  readonly waiting: unknown;
}

/** A task that a call has become. */
export function begun(world: ExchangeWorld = taskWorld(), options: CallOptions = {}, task: Json = {}): Begun {
  const { call, sent } = called(world, 'slow', options);
  world.say({ id: sent['id'], result: { task: { taskId: 't', status: 'working', ...times, ttl: 60_000, ...task } } });
  const [waiting] = world.sent();
  expect(waiting).toMatchObject({ method: 'tasks/result', params: { taskId: 't' } });
  return { world, taskId: String(resultOf(call)['taskId']), waiting: waiting?.['id'] };
}

/** A request about a task. */
export function about(world: ExchangeWorld, method: string, params: Json, options: CallOptions = {}): FakeCall {
  return world.call(method, params, { capabilities, ...options });
}

/** Answers what the server was asked since; by method. */
export function answer(world: ExchangeWorld, answers: Json): void {
  for (const { id, method } of world.sent()) {
    const members = answers[String(method)];
    if (members !== undefined) world.say({ id, ...objectIn(members) });
  }
}

/** What `tasks/get` says while the server says that. */
export function seen({ world, taskId }: Begun, status: string, result: Json = {}, options: CallOptions = {}): Json {
  const call = about(world, 'tasks/get', { taskId }, options);
  answer(world, { 'tasks/get': { result: { taskId: 't', status, ...times, ttl: 60_000, pollInterval: 50 } } });
  answer(world, { 'tasks/result': result });
  return resultOf(call);
}

export function ask(world: ExchangeWorld, id: number): void {
  world.say({ id, method: 'elicitation/create', params: { message: `Question ${id}`, _meta: related } });
}

export const accepted: Json = { action: 'accept', content: { name: 'Ada' } };
export const unknownTask: Json = {
  code: -32602,
  message: 'there is no such task, or not any more',
  data: { reason: 'unknown_task' },
};
export const notDeclared: Json = { code: -32021, data: { requiredCapabilities: { extensions: { [extension]: {} } } } };
