// Tasks of clients of 2026-07-28 (SEP-2663), in front of a legacy server that runs tools as tasks, and of a modern one.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { addToken } from '../harness/add-token.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { metaKeys, modernClient } from '../harness/modern-client.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectV1 } from '../harness/sdk-clients.ts';
import { taskClient, tasksExtension, type TaskClient } from '../harness/task-client.ts';

const unknownTask = { code: -32602, data: { reason: 'unknown_task' } };

describe.each([
  { server: 'tasks', tool: 'confirm_delete', text: 'deleted' },
  { server: 'modern-tasks', tool: 'as-a-task', text: 'task of Ada' },
])('$server', ({ server, tool, text }) => {
  let exposed: Exposed;
  let client: TaskClient;
  let auditFile: string;
  beforeAll(async () => {
    auditFile = path.join(temporaryDirectory('file'), 'audit.jsonl');
    exposed = await startExpose({ server: fixture(server), args: ['--audit', auditFile], lifetime: 'file' });
    client = taskClient(exposed, exposed.token);
  });

  test('says that it has tasks', async () => {
    const { result } = await client.request('d', 'server/discover');
    expect(result?.['capabilities']).toMatchObject({ extensions: { [tasksExtension]: {} } });
    expect(result?.['capabilities']).not.toHaveProperty('tasks');
  });

  test('a task asks its client, goes on with the answer, and has the result', async () => {
    const taskId = await client.start(tool);
    const { inputRequests } = await client.when('input_required', taskId);
    expect(Object.values(Object(inputRequests))).toMatchObject([{ method: 'elicitation/create' }]);
    expect((await client.answer(taskId)).result).toMatchObject({ resultType: 'complete' });
    const { result } = await client.when('completed', taskId);
    expect(result).toMatchObject({ content: [{ type: 'text', text }] });
  });

  test('its client may subscribe to it', async () => {
    const taskId = await client.start(tool);
    const notifications = { taskIds: [taskId, 'none'] };
    const listen = await client.post('L', 'subscriptions/listen', { notifications });
    const acknowledged = await listen.next(({ method }) => method === 'notifications/subscriptions/acknowledged');
    expect(acknowledged.params?.['notifications']).toEqual({ taskIds: [taskId] });
    await client.when('input_required', taskId);
    await client.answer(taskId);
    const news = await listen.next(({ method, params }) => {
      return method === 'notifications/tasks' && params?.['status'] === 'completed';
    });
    expect(news.params).toMatchObject({
      taskId,
      result: { content: [{ text }] },
      _meta: { [metaKeys.subscriptionId]: 'L' },
    });
    listen.abort();
  });

  test('it may be cancelled', async () => {
    const taskId = await client.start(tool);
    expect((await client.request('c', 'tasks/cancel', { taskId })).result).toMatchObject({ resultType: 'complete' });
    await client.when('cancelled', taskId);
  });

  test('for another token it is not there, as one that never was', async () => {
    const taskId = await client.start(tool);
    const other = taskClient(exposed, await addToken(exposed, 'ben'));
    const foreign = await other.get(taskId);
    expect(foreign.error).toMatchObject(unknownTask);
    expect(foreign.error).toEqual((await other.get('never')).error);
    for (const method of ['tasks/update', 'tasks/cancel']) {
      const params = { taskId, inputResponses: {} };
      expect((await other.request(method, method, params)).error).toMatchObject(unknownTask); // oxlint-disable-line no-await-in-loop -- one after the other
    }
    await client.when('input_required', taskId);
  });

  test('it needs the extension', async () => {
    const taskId = await client.start(tool);
    const plain = modernClient(exposed.url, exposed.token);
    const reply = await plain.post(1, 'tasks/get', { taskId });
    expect(reply.status).toBe(400);
    const { error } = await reply.next(() => true);
    expect(error).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
    });
  });

  test('a tool that a token may not call makes none', async () => {
    const ruled = taskClient(exposed, await addToken(exposed, 'cleo', '--deny-tool', tool));
    expect((await ruled.call(1, tool)).error).toMatchObject({ code: -32602, data: { reason: 'not_allowed' } });
  });

  test('all of it is in the audit', async () => {
    const taskId = await client.start(tool);
    await client.request('c', 'tasks/cancel', { taskId });
    const entries = readFileSync(auditFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => parseJson<object>(line));
    expect(entries).toContainEqual(expect.objectContaining({ method: 'tools/call', tool, outcome: 'ok' }));
    expect(entries).toContainEqual(expect.objectContaining({ method: 'tasks/cancel', outcome: 'ok' }));
  });
});

test('a legacy client of a modern server gets the result of the call, and knows of no task', async () => {
  const exposed = await startExpose({ server: fixture('modern-tasks') });
  const client = taskClient(exposed, exposed.token);
  const taskId = await client.start('as-a-task');
  const legacy = await openSession(exposed.url, exposed.token);
  expect((await legacy.call(1, 'tasks/get', { taskId })).error).toMatchObject({ code: -32601 });
  const asked = await connectV1(exposed.url, exposed.token, { elicit: () => ({ name: 'Ada' }) });
  await expect(asked.call('as-a-task')).resolves.toBe('task of Ada');
  await client.when('input_required', taskId);
});
