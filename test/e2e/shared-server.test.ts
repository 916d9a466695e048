// --isolation shared: one process for all sessions, which know nothing of each other all the same.
import { expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf, type JsonRpcMessage } from '../harness/json-rpc-message.ts';
import { childrenWithMark, killIfAlive } from '../harness/processes.ts';
import { fixture, installedServer } from '../harness/program.ts';
import { openSession, type RawSession, type SessionOptions } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';

const share = (server: string[], ...more: string[]) =>
  startExpose({ server, args: ['--isolation', 'shared', ...more] });

const open = (exposed: Exposed, options: SessionOptions = {}) => openSession(exposed.url, exposed.token, options);
const callTool = (session: RawSession, id: number | string, name: string, args: object = {}) =>
  session.call(id, 'tools/call', { name, arguments: args });

test('there is one process for all sessions, also before the first and after the last', async () => {
  const exposed = await share(fixture('echo'));
  const processes = () => childrenWithMark(exposed.mark).map(({ pid }) => pid);
  await eventually(() => expect(processes()).toHaveLength(1));
  const [first] = processes();
  const sessions = await Promise.all([open(exposed), open(exposed), open(exposed)]);
  const pids = await Promise.all(sessions.map(async (session) => textOf(await callTool(session, 'pid', 'pid'))));
  expect(pids).toEqual([String(first), String(first), String(first)]);
  await Promise.all(sessions.map((session) => session.end()));
  expect(textOf(await callTool(await open(exposed), 2, 'pid'))).toBe(String(first));
  expect(processes()).toEqual([first]);
});

test('two sessions with the same ids and tokens each get their own progress and their own answers', async () => {
  const exposed = await share(fixture('progress'));
  const [one, two] = await Promise.all([open(exposed), open(exposed)]);
  const [first, second] = await Promise.all([count(one, 'first'), count(two, 'second')]);
  for (const [messages, label] of [
    [first, 'first'],
    [second, 'second'],
  ] as const) {
    expect(messages.map(({ id, params }) => id ?? params?.['message'])).toEqual([
      ...[1, 2, 3, 4, 5].map((n) => `${label} ${n}`),
      7,
    ]);
    expect(messages[0]?.params).toMatchObject({ progressToken: 'token' });
  }
});

async function count(session: RawSession, label: string): Promise<JsonRpcMessage[]> {
  const reply = await session.post({
    jsonrpc: '2.0',
    id: 7,
    method: 'tools/call',
    params: { name: 'count', arguments: { n: 5, label, together: 2 }, _meta: { progressToken: 'token' } },
  });
  return reply.ended;
}

test('what a server asks goes to the client whose call it is, while that can be known', async () => {
  const exposed = await share(fixture('asks'));
  const capabilities = { sampling: {} };
  const [asked, bystander] = await Promise.all([open(exposed, { capabilities }), open(exposed, { capabilities })]);
  const listening = await bystander.listen();
  const call = await asked.post({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'ask-sampling', arguments: {} },
  });
  const ask = await call.next(({ method }) => method === 'sampling/createMessage');
  const answer = { role: 'assistant', model: 'm', content: { type: 'text', text: 'mine' } };
  // Somebody else cannot answer it.
  await bystander.post({
    jsonrpc: '2.0',
    id: ask.id,
    result: { ...answer, content: { type: 'text', text: 'forged' } },
  });
  await asked.post({ jsonrpc: '2.0', id: ask.id, result: answer });
  const result = await call.next(({ id, method }) => id === 1 && method === undefined);
  expect(textOf(result)).toContain('mine');
  expect(textOf(result)).not.toContain('forged');
  expect(listening.messages).toEqual([]);
});

test('subscriptions are each session’s own, list_changed is for all', async () => {
  const exposed = await share(fixture('notifies'));
  const [subscribed, other] = await Promise.all([open(exposed), open(exposed)]);
  const [toSubscribed, toOther] = await Promise.all([subscribed.listen(), other.listen()]);
  await subscribed.call(1, 'resources/subscribe', { uri: 'test://news' });
  await callTool(other, 1, 'change', { label: 'news', after: true });
  await toSubscribed.next(({ method }) => method === 'notifications/resources/updated');
  await toSubscribed.next(({ method }) => method === 'notifications/message');
  await toOther.next(({ method }) => method === 'notifications/message');
  const methods = toOther.messages.map(({ method }) => method);
  expect(methods).toContain('notifications/tools/list_changed');
  expect(methods).not.toContain('notifications/resources/updated');
});

test('all sessions live on when the process is killed, and go on with the next one', async () => {
  const exposed = await share(fixture('crash-on-call'));
  const [one, two] = await Promise.all([open(exposed), open(exposed)]);
  const pid = Number(textOf(await callTool(one, 1, 'pid')));
  const waiting = await Promise.all(
    [one, two].map((session) =>
      session.post({
        jsonrpc: '2.0',
        id: 2,
        method: 'tools/call',
        params: { name: 'wait', arguments: {}, _meta: { progressToken: 1 } },
      }),
    ),
  );
  await Promise.all(waiting.map((reply) => reply.next(({ method }) => method === 'notifications/progress')));
  killIfAlive(pid);
  const failed = await Promise.all(waiting.map((reply) => reply.next(({ id }) => id === 2)));
  expect(failed.map(({ error }) => error?.data)).toMatchObject([{ signal: 'SIGKILL' }, { signal: 'SIGKILL' }]);
  const pids = await Promise.all([one, two].map(async (session) => textOf(await callTool(session, 3, 'pid'))));
  expect(pids[0]).toBe(pids[1]);
  expect(pids[0]).not.toBe(String(pid));
});

test.each<SdkVersion>(['v1', 'v2', 'v1 over HTTP+SSE'])('many official clients %s use one server', async (version) => {
  const exposed = await share(installedServer('mcp-server-everything'));
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => connectWith[version](exposed.url, exposed.token, {})),
  );
  const answers = await Promise.all(clients.map((client, at) => client.call('echo', { message: `I am ${at}` })));
  expect(answers).toEqual(clients.map((_client, at) => `Echo: I am ${at}`));
  // The one that said what it is at the start takes its time to end.
  await eventually(() => expect(childrenWithMark(exposed.mark)).toHaveLength(1));
});
