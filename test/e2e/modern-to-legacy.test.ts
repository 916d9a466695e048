// Clients of 2026-07-28 in front of legacy servers that do what is hard to carry: each request of theirs is complete in
// itself, and the server waits in the middle of a call.
import { beforeAll, describe, expect, test } from 'vitest';
import { addToken } from '../harness/add-token.ts';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { type JsonRpcMessage, textOf } from '../harness/json-rpc-message.ts';
import {
  answering,
  type Answers,
  inputRequiredOf,
  metaKeys,
  modernClient,
  type ModernClient,
} from '../harness/modern-client.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';

const elicitation = { elicitation: { form: {}, url: {} } };
const nasty = fixture('nasty');

type Asked = { method: string; params: Record<string, unknown> };

const answer = ({ params }: Asked) => ({ action: 'accept', content: { name: `told ${String(params['message'])}` } });

let lastId = 0;
const nextId = () => ++lastId;

/** Calls a tool, and calls it again with answers as often as it asks. */
async function complete(client: ModernClient, tool: string, args: object = {}): Promise<JsonRpcMessage> {
  let message = await client.call(nextId(), tool, args);
  while (message.result?.['resultType'] === 'input_required') {
    message = await client.call(nextId(), tool, args, { params: answering(message, answer) }); // oxlint-disable-line no-await-in-loop -- round after round
  }
  return message;
}

/** The error for a state that is of no use. */
const refused = (reason: string) => ({ error: { code: -32602, data: { reason } } });

const retry = (by: ModernClient, params: Answers, tool = 'ask-in-turn', args: object = {}) =>
  by.call(nextId(), tool, args, { params });

describe('a server that asks', () => {
  let exposed: Exposed;
  let client: ModernClient;
  beforeAll(async () => {
    exposed = await startExpose({ server: nasty, lifetime: 'file' });
    client = modernClient(exposed.url, exposed.token, elicitation);
  });

  test('one question after the other', async () => {
    const answered = await complete(client, 'ask-in-turn');
    expect(parseJson(textOf(answered))).toEqual(['told First name?', 'told Second name?']);
    expect(answered.result).toMatchObject({
      resultType: 'complete',
      _meta: { [metaKeys.serverInfo]: { name: 'fixture-nasty', version: '1.0.0' } },
    });
  });

  test('two questions at once', async () => {
    const asked = await client.call(nextId(), 'ask-at-once');
    const messages = Object.values(inputRequiredOf(asked).inputRequests).map(({ params }) => params['message']);
    expect(messages).toEqual(['First name?', 'Second name?']);
    const answered = await client.call(nextId(), 'ask-at-once', {}, { params: answering(asked, answer) });
    expect(parseJson(textOf(answered))).toEqual(['told First name?', 'told Second name?']);
  });

  test('what is not answered is asked again, and what nobody asked is ignored', async () => {
    const asked = await client.call(nextId(), 'ask-at-once');
    const { inputResponses, requestState } = answering(asked, answer);
    const [first = ''] = Object.keys(inputResponses);
    const some = { [first]: inputResponses[first], stranger: { action: 'cancel' } };
    const again = await client.call(nextId(), 'ask-at-once', {}, { params: { inputResponses: some, requestState } });
    const rest = Object.values(inputRequiredOf(again).inputRequests).map(({ params }) => params['message']);
    expect(rest).toEqual(['Second name?']);
    const answered = await client.call(nextId(), 'ask-at-once', {}, { params: answering(again, answer) });
    expect(parseJson(textOf(answered))).toEqual(['told First name?', 'told Second name?']);
  });

  test('a client that never answers is told so', async () => {
    let asked = await client.call(nextId(), 'ask-in-turn');
    for (let round = 0; asked.error === undefined && round < 10; round++) {
      const { requestState } = inputRequiredOf(asked);
      const params = { inputResponses: {}, ...(requestState !== undefined && { requestState }) };
      asked = await client.call(nextId(), 'ask-in-turn', {}, { params }); // oxlint-disable-line no-await-in-loop -- round after round
    }
    expect(asked.error?.code).toBe(-32602);
  });

  test('and gives up: what comes of the call is given to the client that comes back', async () => {
    const asked = await client.call(nextId(), 'ask-in-a-hurry');
    await eventually(async () => expect(textOf(await client.call(nextId(), 'given-up'))).toBe('1'));
    const late = await client.call(nextId(), 'ask-in-a-hurry', {}, { params: answering(asked, answer) });
    expect(textOf(late)).toBe('nobody answered');
  });

  test('a client that has not declared what it asks for', async () => {
    const id = nextId();
    const reply = await client.post(id, 'tools/call', { name: 'ask-without-capability', arguments: {} });
    expect(reply.status).toBe(400);
    const outcome = await reply.next((message) => message.id === id);
    expect(outcome.error).toMatchObject({ code: -32021, data: { requiredCapabilities: { sampling: {} } } });
    const coped = await client.call(nextId(), 'ask-and-cope');
    expect(parseJson<{ error: object }>(textOf(coped)).error).toHaveProperty('code');
  });

  test('while tools are listed: it is refused, and the list comes', async () => {
    const listed = await client.request(nextId(), 'tools/list');
    expect(listed.result).toMatchObject({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
    expect(JSON.stringify(listed.result)).not.toContain('taskSupport');
    await eventually(async () => {
      expect(textOf(await client.call(nextId(), 'asked-in-list'))).toContain('"error"');
    });
  });

  test('a sign-in at a URL: the call is made again once that is done', async () => {
    const asked = await client.call(nextId(), 'needs-sign-in');
    const { inputRequests } = inputRequiredOf(asked);
    expect(Object.values(inputRequests)).toEqual([
      {
        method: 'elicitation/create',
        params: { mode: 'url', message: 'Please sign in', url: 'https://login.example/' },
      },
    ]);
    const params = answering(asked, () => ({ action: 'accept' }));
    expect(textOf(await client.call(nextId(), 'needs-sign-in', {}, { params }))).toBe('signed in');
  });
});

describe('the state of a call that waits', () => {
  let exposed: Exposed;
  let client: ModernClient;
  beforeAll(async () => {
    exposed = await startExpose({ server: nasty, lifetime: 'file' });
    client = modernClient(exposed.url, exposed.token, elicitation);
  });

  test('is good for this caller, this call and one time', async () => {
    const asked = await client.call(nextId(), 'ask-in-turn');
    const params = answering(asked, answer);
    const state = params.requestState ?? '';
    const changed = `${state.slice(0, -2)}${state.endsWith('AA') ? 'BB' : 'AA'}`;
    const other = modernClient(exposed.url, await addToken(exposed, 'ben'), elicitation);

    expect(await retry(client, { ...params, requestState: changed })).toMatchObject(refused('integrity'));
    expect(await retry(client, { ...params, requestState: 'made up' })).toMatchObject(refused('malformed'));
    expect(await retry(other, params)).toMatchObject(refused('mismatch'));
    expect(await retry(client, params, 'ask-in-turn', { other: 1 })).toMatchObject(refused('mismatch'));
    expect(await retry(client, params, 'ask-at-once')).toMatchObject(refused('mismatch'));
    inputRequiredOf(await retry(client, params));
    expect(await retry(client, params)).toMatchObject(refused('consumed'));
  });

  test('says that mcp-expose was started anew', async () => {
    const asked = await client.call(nextId(), 'ask-in-turn');
    const next = await startExpose({ server: nasty });
    const there = modernClient(next.url, next.token, elicitation);
    expect(await retry(there, answering(asked, answer))).toMatchObject(refused('bridge_restarted'));
  });

  test('ends in the end, and the server hears of it', async () => {
    const short = await startExpose({ server: nasty, args: ['--park-ttl', '1s'] });
    const there = modernClient(short.url, short.token, elicitation);
    const asked = await there.call(nextId(), 'ask-and-count');
    await eventually(async () => expect(textOf(await there.call(nextId(), 'cancelled-calls'))).toBe('1'), 10_000);
    const late = await retry(there, answering(asked, answer), 'ask-and-count');
    expect(late).toMatchObject(refused('expired'));
  });

  test('answers that belong to no call are not given to it', async () => {
    const params = { inputResponses: { q1: { action: 'accept', content: { name: 'nobody asked' } } } };
    const asked = await client.call(nextId(), 'ask-in-turn', {}, { params });
    expect(Object.values(inputRequiredOf(asked).inputRequests)).toHaveLength(1);
  });
});

describe('a server that notifies', () => {
  let exposed: Exposed;
  let client: ModernClient;
  beforeAll(async () => {
    exposed = await startExpose({ server: nasty, lifetime: 'file' });
    client = modernClient(exposed.url, exposed.token);
  });
  const messagesOf = async (tool: string, meta: Record<string, unknown>) => {
    const reply = await client.post(nextId(), 'tools/call', { name: tool, arguments: {} }, { meta });
    return (await reply.ended).map(({ method, params }) => method && [method, params?.['level']]).filter(Boolean);
  };

  test('log messages come to the calls that ask for them, of the level that they ask for', async () => {
    expect(await messagesOf('log-unasked', {})).toEqual([]);
    expect(await messagesOf('log-unasked', { [metaKeys.logLevel]: 'error' })).toEqual([
      ['notifications/message', 'error'],
    ]);
    expect(await messagesOf('log-unasked', { [metaKeys.logLevel]: 'debug' })).toHaveLength(2);
  });

  test('a client that hangs up has cancelled', async () => {
    const params = { name: 'until-cancelled', arguments: {} };
    const held = await client.post(nextId(), 'tools/call', params, { meta: { progressToken: 'held' } });
    await held.next(({ method }) => method === 'notifications/progress');
    held.abort();
    await eventually(async () => expect(textOf(await client.call(nextId(), 'cancelled-calls'))).toBe('1'));
  });

  test('of what is inside of what a client subscribed to, with the id of the subscription', async () => {
    const id = nextId();
    const notifications = {
      resourceSubscriptions: ['test://folder'],
      toolsListChanged: true,
      promptsListChanged: true,
    };
    const stream = await client.post(id, 'subscriptions/listen', { notifications });
    const first = await stream.next(() => true);
    expect(first).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: {
        notifications: { resourceSubscriptions: ['test://folder'], toolsListChanged: true },
        _meta: { [metaKeys.subscriptionId]: id },
      },
    });
    expect(JSON.stringify(first.params)).not.toContain('prompts'); // the server has none
    await client.call(nextId(), 'update-inside');
    const updated = await stream.next(({ method }) => method === 'notifications/resources/updated');
    expect(updated.params).toMatchObject({ uri: 'test://folder/file', _meta: { [metaKeys.subscriptionId]: id } });

    await client.call(nextId(), 'storm', { count: 1000 });
    await stream.next(({ method }) => method === 'notifications/tools/list_changed');
    expect(textOf(await client.call(nextId(), 'storm', { count: 1 }))).toBe('1 changes');
  });
});

describe('what the revision has removed is not found', () => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await startExpose({ server: nasty, lifetime: 'file' });
  });
  const removed = ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'];

  test.each([...removed, 'tasks/list', 'tasks/result'])('%s', async (method) => {
    const id = nextId();
    const reply = await modernClient(exposed.url, exposed.token).post(id, method);
    expect(reply.status).toBe(404);
    expect(await reply.next((message) => message.id === id)).toMatchObject({ error: { code: -32601 } });
  });
});
