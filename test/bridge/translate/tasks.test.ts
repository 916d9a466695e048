import { expect, test } from 'vitest';
import { readTask, taskOutcome } from '../../../src/bridge/translate/tasks.ts';
import { readResponse, written } from './read.ts';

test.each([
  ['"status":"completed","result":{"content":[],"n":1.0}', '"result":{"content":[],"n":1.0}'],
  [
    '"status":"failed","error":{"code":-1,"message":"m","data":1e999}',
    '"error":{"code":-1,"message":"m","data":1e999}',
  ],
])('a task with %s has come to %s', (members, outcome) => {
  const response = readResponse(`"id":"poll","result":{"resultType":"complete","taskId":"t",${members}}`);
  const found = taskOutcome(response, 7);
  expect(found && written(found)).toBe(`"id":7,${outcome}`);
});

test.each([
  '"status":"working"',
  '"status":"completed"',
  '"status":"completed","error":{}',
  '"status":"failed","result":{}',
  '"status":"failed","error":null',
])('a task with %s has come to nothing yet', (members) => {
  expect(taskOutcome(readResponse(`"id":1,"result":{"taskId":"t",${members}}`), 1)).toBeUndefined();
});

test('how a task stands', () => {
  const response = readResponse('"id":1,"result":{"taskId":"t","status":"working","pollIntervalMs":5}');
  expect(readTask(response)).toEqual({ taskId: 't', status: 'working', pollIntervalMs: 5 });
  expect(readTask(readResponse('"id":1,"result":{"taskId":7}'))).toBeUndefined();
  expect(readTask(readResponse('"id":1,"error":{"code":1,"message":"","taskId":"t"}'))).toBeUndefined();
});
