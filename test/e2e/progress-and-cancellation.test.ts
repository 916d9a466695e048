// A long call tells how far it is, to the one who made it, and stops when it is not wanted any more.
import { describe, expect, test, beforeAll } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { type Exposed, startExpose } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { openSession, type RawSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

const toolCall = (id: number | string, name: string, args: object, progressToken?: number | string) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(progressToken !== undefined && { _meta: { progressToken } }) },
});

async function toolText(session: RawSession, name: string): Promise<string> {
  return textOf(await session.call(`${name}-${Math.random()}`, 'tools/call', { name, arguments: {} }));
}

const steps = (label: string) => [1, 2, 3, 4, 5].map((n) => `${label} ${n}`);

describe.each(ways)('progress %s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('progress'), lifetime: 'file' });
  });

  test.each<SdkVersion>(['v1', 'v2'])('SDK client %s: two interleaved calls get their own steps', async (version) => {
    const client = await connectWith[version](exposed.url, exposed.token);
    const count = async (label: string) => {
      const seen: string[] = [];
      const onprogress = ({ message }: { message?: string | undefined }) => seen.push(message ?? '');
      const answer = await client.call('count', { n: 5, label, together: 2 }, { onprogress });
      return { seen, answer };
    };
    expect(await Promise.all([count('a'), count('b')])).toEqual([
      { seen: steps('a'), answer: 'a counted to 5' },
      { seen: steps('b'), answer: 'b counted to 5' },
    ]);
  });

  test('two clients that chose the same progress token get their own steps', async () => {
    const sessions = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const replies = await Promise.all(
      sessions.map((session, who) => session.post(toolCall(1, 'count', { n: 3, label: `client ${who}` }, 'token'))),
    );
    const all = await Promise.all(replies.map((reply) => reply.ended));
    for (const [who, messages] of all.entries()) {
      expect(messages.slice(0, -1).map(({ params }) => params)).toEqual(
        [1, 2, 3].map((progress) => ({
          progressToken: 'token',
          progress,
          total: 3,
          message: `client ${who} ${progress}`,
        })),
      );
      expect(messages.at(-1)).toMatchObject({ id: 1, result: {} });
    }
  });

  test('a token is the same to the client whatever its type, and steps come on the stream of their own call', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const general = await session.listen();
    const tokens = [0, '0', 'a token with spaces'];
    const replies = await Promise.all(
      tokens.map((token, id) => session.post(toolCall(id, 'count', { n: 2, label: String(id), together: 3 }, token))),
    );
    const all = await Promise.all(replies.map((reply) => reply.ended));
    expect(all.map((messages) => messages.map(({ params, id }) => params?.['progressToken'] ?? id))).toEqual([
      [0, 0, 0],
      ['0', '0', 1],
      ['a token with spaces', 'a token with spaces', 2],
    ]);
    expect(general.messages).toEqual([]);
    general.abort();
  });

  test('a call without a token gets no steps and one JSON answer', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const reply = await session.post(toolCall(1, 'count', { n: 3 }));
    expect(await reply.ended).toMatchObject([{ id: 1, result: { content: [{ text: 'step counted to 3' }] } }]);
    expect(reply.kind).toBe('json');
  });

  test('steps arrive while the call is running, not with its answer', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const waiting = await session.post(toolCall(1, 'count', { n: 400, label: 'slow', together: 1 }, 1));
    await waiting.next(({ params }) => params?.['progress'] === 1);
    expect(waiting.messages.some(({ result }) => result)).toBe(false);
    waiting.abort();
  });
});

describe.each(ways)('cancellation %s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('slow'), lifetime: 'file' });
  });

  test.each<SdkVersion>(['v1', 'v2'])('SDK client %s: the server learns which call and why', async (version) => {
    const client = await connectWith[version](exposed.url, exposed.token);
    const cancel = new AbortController();
    const call = client.call('wait', {}, { signal: cancel.signal, onprogress: () => cancel.abort('not needed') });
    await expect(call).rejects.toThrow('not needed');
    await eventually(async () => {
      expect(parseJson<object[]>(await client.call('cancelled'))).toMatchObject([
        { reason: expect.stringContaining('not needed') },
      ]);
      expect(await client.call('waiting')).toBe('[]');
    });
  });

  test('only the named call of two is cancelled', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const replies = await Promise.all(
      ['a', 'b'].map((id) => session.post(toolCall(id, 'wait', { ms: 60_000 }, `token-${id}`))),
    );
    await Promise.all(replies.map((reply) => reply.next(({ method }) => method === 'notifications/progress')));
    const before = parseJson<unknown[]>(await toolText(session, 'waiting'));
    expect(before).toHaveLength(2);
    const cancelled = await session.post({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'a', reason: 'test' },
    });
    expect(cancelled.status).toBe(202);
    await eventually(async () => {
      const [named] = parseJson<{ requestId: unknown }[]>(await toolText(session, 'cancelled'));
      expect(named?.requestId).toBe(before[0]);
      expect(parseJson<unknown[]>(await toolText(session, 'waiting'))).toEqual([before[1]]);
    });
  });

  test('the id of a cancelled call is refused while its answer may still come', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const first = await session.post(toolCall(5, 'wait', { ms: 60_000 }, 't'));
    await first.next(({ method }) => method === 'notifications/progress');
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } });
    const again = await session.post(toolCall(5, 'echo', { text: 'the second call' }));
    expect(again.status).toBe(400);
    expect(textOf(await session.call(6, 'tools/call', { name: 'echo', arguments: { text: 'fine' } }))).toBe('fine');
  });

  test('the id of a cancelled call can be used again after the server has answered all the same', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const first = await session.post(toolCall(5, 'wait', { ms: 60_000, answerAnyway: true }, 't'));
    await first.next(({ method }) => method === 'notifications/progress');
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } });
    await session.call(6, 'tools/call', { name: 'echo', arguments: { text: 'behind the late answer' } });
    const again = await session.post(toolCall(5, 'echo', { text: 'the second call' }));
    expect(textOf(await again.next(({ id }) => id === 5))).toBe('the second call');
  });

  test('cancelling a call that does not exist changes nothing', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const reply = await session.post({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'never made' },
    });
    expect(reply.status).toBe(202);
    expect(textOf(await session.call(1, 'tools/call', { name: 'echo', arguments: { text: 'fine' } }))).toBe('fine');
  });

  test('another session cannot cancel a call by its id', async () => {
    const [mine, theirs] = await Promise.all([
      openSession(exposed.url, exposed.token),
      openSession(exposed.url, exposed.token),
    ]);
    const call = await mine.post(toolCall(7, 'wait', { ms: 60_000 }, 't'));
    await call.next(({ method }) => method === 'notifications/progress');
    await theirs.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
    await toolText(theirs, 'cancelled');
    expect(parseJson<unknown[]>(await toolText(mine, 'waiting'))).toHaveLength(1);
    expect(await toolText(mine, 'cancelled')).toBe('[]');
  });
});

test('a duplicate of an id that is in flight gets a clear error and the first call is unharmed', async () => {
  const exposed = await startExpose({ server: fixture('slow') });
  const session = await openSession(exposed.url, exposed.token);
  const first = await session.post(toolCall(9, 'wait', { ms: 400 }, 't'));
  await first.next(({ method }) => method === 'notifications/progress');
  const second = await session.post(toolCall(9, 'echo', { text: 'mine' }));
  const [refusal] = await second.ended;
  expect(refusal).toMatchObject({ jsonrpc: '2.0', error: { message: expect.stringMatching(/\bid\b/i) } });
  expect(textOf(await first.next(({ id }) => id === 9))).toBe('waited 400 ms');
});
