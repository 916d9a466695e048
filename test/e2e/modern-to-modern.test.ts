// Clients and a server of 2026-07-28: they share one server, whose messages pass as they are.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { answering, metaKeys, modernClient, type ModernClient } from '../harness/modern-client.ts';
import { parseJson } from '../harness/parse-json.ts';
import { childrenWithMark } from '../harness/processes.ts';
import { fixture } from '../harness/program.ts';
import { connectV2 } from '../harness/sdk-clients.ts';

const elicitation = { elicitation: { form: {} } };

describe('modern-only', () => {
  let exposed: Exposed;
  let client: ModernClient;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('modern-only'), lifetime: 'file' });
    client = modernClient(exposed.url, exposed.token, elicitation);
  });

  test('clients that use the same ids and tokens at once get their own answers and progress', async () => {
    const clients = Array.from({ length: 4 }, () => modernClient(exposed.url, exposed.token));
    const replies = await Promise.all(
      clients.map((each) =>
        each.post(1, 'tools/call', { name: 'slow', arguments: { steps: 2 } }, { meta: { progressToken: 1 } }),
      ),
    );
    const all = await Promise.all(replies.map(({ ended }) => ended));
    for (const messages of all) {
      expect(messages.map(({ id, params }) => params?.['progress'] ?? id)).toEqual([1, 2, 1]);
      expect(messages.map(({ params }) => params?.['progressToken'] ?? 1)).toEqual([1, 1, 1]);
    }
    const echoes = await Promise.all(clients.map((each, who) => each.call('x', 'echo', { text: `I am ${who}` })));
    expect(echoes.map(textOf)).toEqual(clients.map((_each, who) => `I am ${who}`));
    expect(childrenWithMark(exposed.mark)).toHaveLength(1);
  });

  test('subscriptions with the same id are told apart', async () => {
    const listen = (notifications: object) => client.post('same', 'subscriptions/listen', { notifications });
    const [tools, prompts] = await Promise.all([
      listen({ toolsListChanged: true }),
      listen({ promptsListChanged: true }),
    ]);
    await Promise.all([tools, prompts].map((stream) => stream.next(({ method }) => /acknowledged/.test(method ?? ''))));
    await client.call(2, 'poke');
    const heard = await Promise.all(
      [tools, prompts].map((stream) => stream.next(({ method }) => /list_changed/.test(method ?? ''))),
    );
    expect(heard.map(({ method }) => method)).toEqual([
      'notifications/tools/list_changed',
      'notifications/prompts/list_changed',
    ]);
    for (const { params } of heard) expect(params).toMatchObject({ _meta: { [metaKeys.subscriptionId]: 'same' } });
  });

  test('the keys of questions are those of the server, and its state comes back to it', async () => {
    const asked = await client.call(1, 'ask');
    expect(asked.result).toMatchObject({ resultType: 'input_required', inputRequests: { who: {} } });
    const params = answering(asked, () => ({ action: 'accept', content: { name: 'Ada' } }));
    expect(textOf(await client.call(2, 'ask', {}, { params }))).toContain('Ada');
    const forged = { ...params, requestState: `${params.requestState}x` };
    expect((await client.call(3, 'ask', {}, { params: forged })).error).toMatchObject({ code: -32602 });
  });

  test('a client that hangs up has cancelled', async () => {
    const before = Number(textOf(await client.call(1, 'cancelled-calls')));
    const held = await client.post(
      2,
      'tools/call',
      { name: 'slow', arguments: { steps: 1, hold: true } },
      { meta: { progressToken: 2 } },
    );
    await held.next(({ method }) => method === 'notifications/progress');
    held.abort();
    await expect.poll(async () => Number(textOf(await client.call(3, 'cancelled-calls')))).toBe(before + 1);
  });
});

describe('modern-rarities', () => {
  let exposed: Exposed;
  let client: ModernClient;
  beforeAll(async () => {
    exposed = await startExpose({ server: fixture('modern-rarities'), lifetime: 'file' });
    client = modernClient(exposed.url, exposed.token, elicitation);
  });

  const region = (id: number, header: string | undefined) =>
    client.post(
      id,
      'tools/call',
      { name: 'region', arguments: { region: 'eu-west1' } },
      { headers: { 'Mcp-Param-Region': header } },
    );

  test('what the server says of caching, of tasks and of itself comes as it is', async () => {
    const listed = await client.request(1, 'tools/list');
    expect(listed.result).toMatchObject({ resultType: 'complete', ttlMs: 60_000, cacheScope: 'public' });
    const meta = { _meta: { [metaKeys.serverInfo]: { name: 'fixture-modern-rarities' } } };
    expect(listed.result).toMatchObject(meta);
    expect((await client.call(2, 'task')).result).toMatchObject({ resultType: 'task', taskId: 'task-1', ...meta });
    expect((await client.call(3, 'unknown-result-type')).result).toMatchObject({ resultType: 'surprise' });
    expect((await client.request(4, 'x/y', { a: 1 })).result).toMatchObject({ echoed: { a: 1 } });
  });

  test('the server gets what the client says of itself', async () => {
    const { _meta: meta } = parseJson<{ _meta: object }>(textOf(await client.call(1, 'meta')));
    expect(meta).toMatchObject({
      [metaKeys.version]: '2026-07-28',
      [metaKeys.capabilities]: elicitation,
      [metaKeys.clientInfo]: { name: 'modern-client' },
    });
  });

  test('a header that says another argument than the body is refused before the server sees it', async () => {
    await client.request(0, 'tools/list'); // which says so
    expect((await region(1, 'eu-west1')).status).toBe(200);
    const refused = await Promise.all([region(2, 'us-east1'), region(3, undefined)]);
    expect(refused.map(({ status }) => status)).toEqual([400, 400]);
    const [first] = await Promise.all(refused.map((reply) => reply.next(() => true)));
    expect(first).toMatchObject({ id: 2, error: { code: -32020 } });
    const official = await connectV2(exposed.url, exposed.token, { era: 'modern' });
    expect(await official.call('region', { region: 'eu-west1' })).toContain('eu-west1');
  });

  test('a request of the server, which the revision does not have, reaches nobody', async () => {
    const reply = await client.post(1, 'tools/call', { name: 'asks-out-of-turn', arguments: {} });
    const messages = await reply.ended;
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ id: 1, result: { resultType: 'complete' } });
  });
});
