// Clients that do not name both media types get what they take.
import { describe, expect, test } from 'vitest';
import { initialize, notification, request, response } from '../../bridge/messages.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { clientHeaders, startGateway, type Gateway, type OpenSession } from '../gateway.ts';
import { eventsIn, protocols, readUntil, type Answer, type Headers } from '../web.ts';

const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } };
const progress = notification('notifications/progress', { progressToken: 't', progress: 1 });

/** Headers of a client with this Accept, or without one. */
function accepting(accept: string | undefined, more: Headers = {}): Headers {
  const { accept: _both, ...others } = clientHeaders;
  return { ...others, ...(accept === undefined ? {} : { accept }), ...more };
}

const post = (gateway: Gateway, message: object, headers: Headers): Promise<Answer> =>
  gateway.web.ask({ method: 'POST', headers, body: JSON.stringify(message) });

/** Headers of a client that takes JSON alone. */
const json = ({ headers }: OpenSession): Headers => accepting('application/json', headers);

const typeOf = ({ headers }: Answer): unknown => headers['content-type'];

describe.each(protocols)('over %s', (protocol) => {
  describe.each([
    undefined,
    '',
    '*/*',
    'application/json',
    'application/*',
    'application/json;q=0.1',
    'text/html, */*',
  ])('Accept %j', (accept) => {
    test('gets JSON for what is answered at once', async () => {
      const gateway = await startGateway(protocol);
      const opened = await post(gateway, initialize.json, accepting(accept));
      expect([opened.status, typeOf(opened)]).toEqual([200, 'application/json']);
      const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
      const answer = post(gateway, call, accepting(accept, session));
      await eventually(() => expect(gateway.upstreams[0]?.sent).toHaveLength(2));
      gateway.upstreams[0]?.say(response(1, { done: true }));
      expect(await (await answer).json()).toMatchObject({ id: 1, result: { done: true } });
      expect(typeOf(await answer)).toBe('application/json');
    });
  });

  describe.each([
    'text/event-stream',
    'text/*',
    'application/json;q=0, text/event-stream',
    '*/*, application/json;q=0',
  ])('Accept %j', (accept) => {
    test('gets event streams', async () => {
      const gateway = await startGateway(protocol);
      const opened = await post(gateway, initialize.json, accepting(accept));
      expect([opened.status, typeOf(opened)]).toEqual([200, 'text/event-stream']);
      expect(eventsIn(await opened.body())).toMatchObject([{ id: 0, result: { protocolVersion: '2025-11-25' } }]);
      const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
      const answer = post(gateway, call, accepting(accept, session));
      await eventually(() => expect(gateway.upstreams[0]?.sent).toHaveLength(2));
      gateway.upstreams[0]?.say(response(1, { done: true }));
      expect(typeOf(await answer)).toBe('text/event-stream');
      expect(eventsIn(await (await answer).body())).toMatchObject([{ id: 1, result: { done: true } }]);
    });
  });

  describe('a client that takes JSON alone', () => {
    test('gets the result alone, whatever its server says on the way', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession();
      const answer = post(gateway, call, json(session));
      await eventually(() => expect(session.upstream.sent).toHaveLength(2));
      session.upstream.say(progress);
      session.upstream.say(notification('notifications/message', { data: 'on the way' }));
      session.upstream.say(response(1, { done: true }));
      expect([typeOf(await answer), await (await answer).json()]).toMatchObject(['application/json', { id: 1 }]);
    });

    test('is not asked anything, and its server is told so at once', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession();
      const answer = post(gateway, call, json(session));
      await eventually(() => expect(session.upstream.sent).toHaveLength(2));
      session.upstream.say(request('ask', 'elicitation/create'));
      expect(parseJson(session.upstream.sent.at(-1) ?? '')).toMatchObject({
        id: 'ask',
        error: { data: { reason: 'client_not_listening' } },
      });
      session.upstream.say(request('alive', 'ping'));
      expect(parseJson(session.upstream.sent.at(-1) ?? '')).toMatchObject({ id: 'alive', result: {} });
      session.upstream.say(response(1));
      expect((await answer).status).toBe(200);
    });

    test('is asked where it listens, and told there what is not the result', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession();
      const { stream } = await gateway.get(session.headers);
      await readUntil(stream, 'retry: ');
      const answer = post(gateway, call, json(session));
      await eventually(() => expect(session.upstream.sent).toHaveLength(2));
      const asked = readUntil(stream, 'elicitation/create');
      session.upstream.say(notification('notifications/message', { data: 'on the way' }));
      session.upstream.say(request('ask', 'elicitation/create'));
      expect(await asked).toContain('on the way');
      session.upstream.say(response(1));
      expect((await answer).status).toBe(200);
    });

    test('gets the answers to a batch in one array, in the order in which they came', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession('2025-03-26');
      const batch = [1, 2, 3].map((id) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: {} }));
      const answer = post(gateway, batch, json(session));
      await eventually(() => expect(session.upstream.sent).toHaveLength(4));
      await gateway.post({ method: 'notifications/cancelled', params: { requestId: 3 } }, session.headers);
      session.upstream.say(response(2, { n: 2 }));
      session.upstream.say(notification('notifications/message', { data: 'between' }));
      session.upstream.say(response(1, { n: 1 }));
      expect(typeOf(await answer)).toBe('application/json');
      expect(await (await answer).json()).toEqual([response(2, { n: 2 }).json, response(1, { n: 1 }).json]);
    });

    test('gets nothing for a batch of which everything was cancelled', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession('2025-03-26');
      const answer = post(gateway, [{ jsonrpc: '2.0', id: 1, method: 'tools/call' }], json(session));
      await eventually(() => expect(session.upstream.sent).toHaveLength(2));
      await gateway.post({ method: 'notifications/cancelled', params: { requestId: 1 } }, session.headers);
      expect([(await answer).status, await (await answer).body()]).toEqual([202, '']);
    });

    test('that goes away in the middle of a batch leaves nothing behind', async () => {
      const gateway = await startGateway(protocol);
      const session = await gateway.openSession('2025-03-26');
      const answer = post(gateway, [{ jsonrpc: '2.0', id: 1, method: 'tools/call' }], json(session));
      answer.catch(() => {});
      await eventually(() => expect(session.upstream.sent).toHaveLength(2));
      gateway.web.hangUpAll();
      await within(15_000, 'the batch to be over', gateway.mcp.drain());
      session.upstream.say(response(1));
    });
  });

  test.each([undefined, '*/*', 'text/*', 'text/event-stream;charset=utf-8'])('GET with Accept %j', async (accept) => {
    const gateway = await startGateway(protocol);
    const { headers } = await gateway.openSession();
    const { authorization = '' } = clientHeaders;
    const more = accept === undefined ? {} : { accept };
    const answer = await gateway.web.ask({ headers: { authorization, ...headers, ...more } });
    expect([answer.status, typeOf(answer)]).toEqual([200, 'text/event-stream']);
  });
});
