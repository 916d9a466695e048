// Clients with sessions in front of a server of 2026-07-28, from outside: what it wants to know comes as a result that is not
// complete, and what a session is made of has to be made up.
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { type JsonRpcMessage, textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { exchange, openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectV1, connectV2 } from '../harness/sdk-clients.ts';

const elicitation = { elicitation: { form: {} } };
const answerTo = ({ id }: JsonRpcMessage, name: string) => ({
  jsonrpc: '2.0',
  id,
  result: { action: 'accept', content: { name } },
});
const isQuestion = ({ method }: JsonRpcMessage) => method === 'elicitation/create';
const toolCall = (id: number, name: string, args: object = {}, meta: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta: meta },
});

describe('modern-only', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('modern-only'), lifetime: 'file' });
  });
  const open = (capabilities: object = elicitation): Promise<RawSession> =>
    openSession(exposed.url, exposed.token, { capabilities });

  test('the session begins as with a legacy server', async () => {
    const { initializeResult } = await open();
    expect(initializeResult).toMatchObject({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'fixture-eras', version: '1.0.0' },
      instructions: 'Ask nothing but questions',
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
    });
    for (const member of ['resultType', 'ttlMs', 'cacheScope', 'supportedVersions']) {
      expect(initializeResult).not.toHaveProperty(member);
    }
  });

  test('nothing of the modern era is in results', async () => {
    const session = await open();
    const results = await Promise.all([
      session.call(1, 'tools/list'),
      session.call(2, 'resources/read', { uri: 'test://greeting' }),
      session.call(3, 'tools/call', { name: 'echo', arguments: { text: 'hi' } }),
    ]);
    expect(JSON.stringify(results)).not.toMatch(/resultType|ttlMs|cacheScope|io\.modelcontextprotocol/);
    expect(results[2]?.result?.content).toEqual([{ type: 'text', text: 'hi' }]);
  });

  test('a question comes on the stream of the call that asks it, with a number as its id', async () => {
    const session = await open();
    const reply = await session.post(toolCall(7, 'ask'));
    const question = await reply.next(isQuestion);
    expect(question).toMatchObject({ id: expect.any(Number), params: { message: 'What is your name?' } });
    expect((await session.post(answerTo(question, 'Ada'))).status).toBe(202);
    const answered = await reply.next(({ id, method }) => id === 7 && method === undefined);
    expect(parseJson(textOf(answered))).toEqual({ action: 'accept', content: { name: 'Ada' } });
  });

  test('a client that loses the stream in the middle of a question gets the rest on another', async () => {
    const session = await open();
    const reply = await session.post(toolCall(8, 'slow', { steps: 1 }, { progressToken: 8 }));
    await reply.ended;
    const asking = await session.post(toolCall(9, 'ask'));
    const question = await asking.next(isQuestion);
    asking.abort();
    expect((await session.post(answerTo(question, 'Grace'))).status).toBe(202);
    // Numbers of events begin with the number of their stream.
    const resumed = await eventually(async () => {
      const stream = await exchange(exposed.url, { headers: [...session.headers, ['Last-Event-ID', '2-1']] });
      expect(stream.status).toBe(200);
      return stream;
    });
    const answered = await resumed.next(({ id, method }) => id === 9 && method === undefined);
    expect(textOf(answered)).toContain('Grace');
  });

  test('a client that cannot be asked is told so, in words of its own era', async () => {
    const session = await open({});
    const { result, error } = await session.call(1, 'tools/call', { name: 'ask', arguments: {} });
    expect(result).toBeUndefined();
    expect(error).toMatchObject({ code: -32603, data: { modernCode: -32021 } });
  });

  test('an error of the client ends the call', async () => {
    const session = await open();
    const reply = await session.post(toolCall(7, 'ask'));
    const { id } = await reply.next(isQuestion);
    await session.post({ jsonrpc: '2.0', id, error: { code: -32603, message: 'nobody is at home' } });
    const answered = await reply.next((message) => message.id === 7 && message.method === undefined);
    expect(answered.result).toMatchObject({ isError: true });
    expect(JSON.stringify(answered)).toContain('nobody is at home');
  });

  test('log messages come once there is a level, and those below it do not', async () => {
    const client = await connectV1(exposed.url, exposed.token);
    const logs = () => client.notifications().filter(({ method }) => method === 'notifications/message').length;
    await client.call('slow', { steps: 2 });
    expect(logs()).toBe(0);
    await client.callWithLog('info', 'slow', { steps: 2 });
    await eventually(() => expect(logs()).toBe(2));
    await client.callWithLog('error', 'slow', { steps: 2 });
    await client.call('echo'); // what came before it has been read
    expect(logs()).toBe(2);
  });

  test('who unsubscribes hears no more of a resource', async () => {
    const session = await open();
    const news = await session.listen();
    const uri = 'test://greeting';
    expect(await session.call(1, 'resources/subscribe', { uri })).toMatchObject({ result: {} });
    await session.call(2, 'tools/call', { name: 'poke' });
    const updated = await news.next(({ method }) => method === 'notifications/resources/updated');
    expect(updated.params).toMatchObject({ uri });
    expect(await session.call(3, 'resources/unsubscribe', { uri })).toMatchObject({ result: {} });
    await session.call(4, 'tools/call', { name: 'poke' });
    const lists = () => news.messages.filter(({ method }) => method === 'notifications/tools/list_changed').length;
    await eventually(() => expect(lists()).toBe(2));
    expect(news.messages.filter(({ method }) => method === 'notifications/resources/updated')).toHaveLength(1);
  });

  test('ping is answered, and one process serves all sessions', async () => {
    const sessions = await Promise.all([open(), open(), open()]);
    const answers = await Promise.all(sessions.map((session) => session.call(1, 'ping')));
    expect(answers.map(({ result }) => result)).toEqual([{}, {}, {}]);
    expect(childrenWithMark(exposed.mark)).toHaveLength(1);
  });
});

describe('a server that goes to the limits', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('modern-rarities'), lifetime: 'file' });
  });

  test('and asks for ever is stopped after ten rounds', async () => {
    let asked = 0;
    const client = await connectV1(exposed.url, exposed.token, {
      elicit: () => {
        asked++;
        return {};
      },
    });
    await client.call('asks-for-ever').catch(() => {});
    expect(asked).toBeGreaterThanOrEqual(9);
    expect(asked).toBeLessThanOrEqual(10);
    expect(parseJson(await client.call('counts'))).toMatchObject({ 'tools/call': expect.any(Number) });
  });

  test('and answers with a result that nobody knows', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const call = (id: number, name: string) => session.call(id, 'tools/call', { name, arguments: {} });
    expect((await call(1, 'unknown-result-type')).error).toMatchObject({ code: -32603 });
    expect((await call(2, 'task')).error).toMatchObject({ code: -32603 });
    expect(parseJson(textOf(await call(3, 'asks-out-of-turn')))).toBe('asked');
  });

  test('methods and members that nobody knows pass', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const { result } = await session.call(1, 'x/y', {
      deep: [1, { two: null }],
      _meta: { 'com.example/trace': 'abc' },
    });
    expect(result?.['echoed']).toMatchObject({ deep: [1, { two: null }], _meta: { 'com.example/trace': 'abc' } });
  });
});

describe('dual-era', () => {
  test('legacy clients have their own server each, and modern ones share one', async () => {
    const exposed = await startExpose({ server: fixture('dual-era') });
    const connect = (era: 'legacy' | 'modern') =>
      connectV2(exposed.url, exposed.token, { era, elicit: () => ({ name: era }) });
    const clients = await Promise.all([connect('legacy'), connect('legacy'), connect('modern'), connect('modern')]);
    const eras = await Promise.all(clients.map((client) => client.call('era')));
    expect(eras).toEqual(['legacy', 'legacy', 'modern', 'modern']);
    expect(childrenWithMark(exposed.mark)).toHaveLength(3);
    const asked = await Promise.all(clients.map(async (client) => parseJson(await client.call('ask'))));
    expect(asked).toMatchObject(eras.map((name) => ({ content: { name } })));
  });
});
