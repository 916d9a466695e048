// A client of revision 2026-07-28 that knows tasks (SEP-2663): no SDK does all of it yet.
import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import type { Exposed } from './expose.ts';
import type { JsonRpcMessage } from './json-rpc-message.ts';
import { modernClient, type ModernClient } from './modern-client.ts';

export const tasksExtension = 'io.modelcontextprotocol/tasks';

type Members = Record<string, unknown>;

export interface TaskClient extends ModernClient {
  /** Calls a tool, and returns the task that the call has become. */
  start(tool: string): Promise<string>;
  get(taskId: string): Promise<JsonRpcMessage>;
  /** The task once it stands so. */
  when(status: string, taskId: string): Promise<Members>;
  /** Gives everything that it asks for now. */
  answer(taskId: string): Promise<JsonRpcMessage>;
}

let lastId = 0;

export function taskClient({ url }: Exposed, token: string): TaskClient {
  const client = modernClient(url, token, { elicitation: { form: {} }, extensions: { [tasksExtension]: {} } });
  const get: TaskClient['get'] = (taskId) => client.request(++lastId, 'tasks/get', { taskId });
  return {
    ...client,
    async start(tool) {
      const { result } = await client.call(++lastId, tool);
      expect(result).toMatchObject({ resultType: 'task', status: expect.any(String), ttlMs: 60_000 });
      return String(result?.['taskId']);
    },
    get,
    when: (status, taskId) =>
      eventually(async () => {
        const { result } = await get(taskId);
        expect(result).toMatchObject({ taskId, status });
        return { ...result };
      }, 20_000),
    async answer(taskId) {
      const { result } = await get(taskId);
      const keys = Object.keys(Object(result?.['inputRequests']));
      const accepted = { action: 'accept', content: { name: 'Ada' } };
      const inputResponses = Object.fromEntries(keys.map((key) => [key, accepted]));
      return client.request(++lastId, 'tasks/update', { taskId, inputResponses });
    },
  };
}
