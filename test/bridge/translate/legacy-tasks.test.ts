import { expect, test } from 'vitest';
import {
  createdTaskIn,
  describedTaskIn,
  detailedTask,
  isTerminal,
  outcomeOf,
  taskCreated,
  taskNotification,
  taskResponse,
  ttlOf,
  type LegacyTask,
} from '../../../src/bridge/translate/legacy-tasks.ts';
import { readResponse, written } from './read.ts';

const times = { createdAt: '2025-11-25T10:30:00Z', lastUpdatedAt: '2025-11-25T10:40:00Z' };
const task: LegacyTask = { taskId: 't', status: 'working', ...times, ttl: null, pollInterval: 5000 };
const ours = { taskId: 'ours', ttlMs: 60_000 };
const modernTimes = '"createdAt":"2025-11-25T10:30:00Z","lastUpdatedAt":"2025-11-25T10:40:00Z"';
const rest = '"ttlMs":60000,"pollIntervalMs":5000';
const none = new Map<string, string>();

test('the task that a server makes of a call becomes the flat result of the call', () => {
  const made = readResponse(
    '"id":1,"result":{"task":{"taskId":"t","status":"working","ttl":1,"x":1.5},"_meta":{"a":1}}',
  );
  const created = createdTaskIn(made);
  expect(created).toEqual({ taskId: 't', status: 'working', ttl: 1, x: 1.5 });
  expect(created && written(taskCreated(created, ours))).toBe(
    '"id":0,"result":{"resultType":"task","taskId":"ours","status":"working","x":1.5,"ttlMs":60000}',
  );
  expect(written(taskCreated(task, ours))).toBe(
    `"id":0,"result":{"resultType":"task","taskId":"ours","status":"working",${modernTimes},${rest}}`,
  );
});

test.each([
  '"result":{"content":[]}',
  '"result":{"task":"t"}',
  '"result":{"task":{"taskId":7}}',
  '"error":{"code":1,"message":"","task":{"taskId":"t"}}',
])('%s is no task', (members) => {
  expect(createdTaskIn(readResponse(`"id":1,${members}`))).toBeUndefined();
});

test.each([
  [60_000, 60_000],
  [0.5, 1],
  [null, undefined],
  [0, undefined],
  [-1, undefined],
  ['60', undefined],
])('a ttl of %s', (ttl, milliseconds) => {
  expect(ttlOf({ taskId: 't', ttl })).toBe(milliseconds);
});

test.each([
  [5000, '"pollIntervalMs":5000'],
  [0.2, '"pollIntervalMs":1'],
  [0, ''],
  ['5', ''],
])('a pollInterval of %s', (pollInterval, shown) => {
  const text = detailedTask({ ...task, pollInterval }, ours, none, undefined).toString();
  expect(text.match(/"pollInterval[^,}]*/)?.[0] ?? '').toBe(shown);
});

test('the answer to tasks/get', () => {
  const described = describedTaskIn(
    readResponse('"id":1,"result":{"taskId":"t","status":"failed","statusMessage":"m","_meta":{"a":1}}'),
  );
  expect(described).toMatchObject({ taskId: 't', status: 'failed', statusMessage: 'm' });
  expect(describedTaskIn(readResponse('"id":1,"error":{"code":1,"message":""}'))).toBeUndefined();
  expect(
    described && detailedTask(described, ours, none, { member: 'result', text: Buffer.from('{"n":1.0}') }).toString(),
  ).toBe('{"taskId":"ours","status":"completed","statusMessage":"m","ttlMs":60000,"result":{"n":1.0}}');
});

test('a task that the server is at work on', () => {
  expect(detailedTask(task, ours, none, undefined).toString()).toBe(
    `{"taskId":"ours","status":"working",${modernTimes},${rest}}`,
  );
  const early = { ...task, status: 'input_required' };
  expect(detailedTask(early, ours, none, undefined).toString()).toBe(
    `{"taskId":"ours","status":"working",${modernTimes},${rest}}`,
  );
});

test('a task that waits for its client says for what, whatever the server calls it', () => {
  const asked = new Map([
    ['q1', '{"method":"roots/list"}'],
    ['q2', '{"method":"elicitation/create","params":{}}'],
  ]);
  expect(detailedTask(task, ours, asked, undefined).toString()).toBe(
    `{"taskId":"ours","status":"input_required",${modernTimes},${rest},"inputRequests":{"q1":{"method":"roots/list"},"q2":{"method":"elicitation/create","params":{}}}}`,
  );
});

test('of a cancelled task there is nothing but that', () => {
  const asked = new Map([['q1', '{"method":"roots/list"}']]);
  const text = detailedTask({ ...task, status: 'cancelled', result: {}, error: {} }, ours, asked, undefined).toString();
  expect(text).toBe(`{"taskId":"ours","status":"cancelled",${modernTimes},${rest}}`);
});

test.each([
  [
    '"result":{"content":[],"isError":true,"n":1.0,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"a":1}}',
    'completed',
    '"result":{"content":[],"isError":true,"n":1.0,"_meta":{"a":1},"resultType":"complete"}',
  ],
  [
    '"error":{"code":-32603,"message":"m","data":1e999}',
    'failed',
    '"error":{"code":-32603,"message":"m","data":1e999}',
  ],
  [
    '"error":{"code":-32042,"message":"m","data":{"elicitations":[]}}',
    'failed',
    '"error":{"code":-32603,"message":"m","data":{"elicitations":[],"reason":"url_elicitation_required"}}',
  ],
])('a tasks/result with %s makes it %s', (members, status, shown) => {
  const outcome = outcomeOf(readResponse(`"id":1,${members}`));
  const text = detailedTask({ ...task, status: 'failed' }, ours, none, outcome);
  expect(text.toString()).toBe(`{"taskId":"ours","status":"${status}",${modernTimes},${rest},${shown}}`);
});

test.each([
  ['working', false],
  ['input_required', false],
  ['completed', true],
  ['failed', true],
  ['cancelled', true],
  ['surprise', false],
])('%s', (status, isOver) => {
  expect(isTerminal({ ...task, status })).toBe(isOver);
});

test('as a response, and as a notification', () => {
  const text = detailedTask(task, ours, none, undefined);
  const response = taskResponse(text);
  expect(response && written(response)).toBe(`"id":0,"result":${text.toString()}`);
  const notification = taskNotification(text);
  expect(notification && written(notification)).toBe(`"method":"notifications/tasks","params":${text.toString()}`);
});
