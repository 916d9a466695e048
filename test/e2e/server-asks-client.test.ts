// My server asks the person at the other end, or their model, and gets the answer of exactly that client.
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exposed } from '../harness/expose.ts';
import { gate } from '../harness/gate.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { fixture } from '../harness/program.ts';
import { openSession } from '../harness/raw-mcp.ts';
import { connectWith, type SdkVersion } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

interface Outcome {
  result?: { content?: { text?: string; name?: string }; action?: string; roots?: { uri: string }[] };
  error?: { code: number; message: string };
}

const toolCall = (id: number | string, name: string, args: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('asks'), lifetime: 'file' });
  });

  describe.each<SdkVersion>(['v1', 'v2'])('SDK client %s', (version) => {
    test('answers elicitation, sampling and roots', async () => {
      const client = await connectWith[version](exposed.url, exposed.token, {
        sample: (prompt) => `answer to ${prompt}`,
        elicit: () => ({ name: 'Grace' }),
        roots: ['file:///home/grace'],
      });
      const elicited = parseJson<Outcome>(await client.call('ask-elicitation'));
      expect(elicited.result).toMatchObject({ action: 'accept', content: { name: 'Grace' } });
      const sampled = parseJson<Outcome>(await client.call('ask-sampling', { prompt: 'this' }));
      expect(sampled.result?.content?.text).toBe('answer to this');
      const roots = parseJson<Outcome>(await client.call('ask-roots'));
      expect(roots.result?.roots).toMatchObject([{ uri: 'file:///home/grace' }]);
    });

    test('answers two questions of one call in reverse order', async () => {
      const second = gate();
      const client = await connectWith[version](exposed.url, exposed.token, {
        sample: async (prompt) => {
          if (prompt === 'first') await second.opened;
          else second.open();
          return `answer to ${prompt}`;
        },
      });
      const outcomes = parseJson<Outcome[]>(await client.call('ask-twice-parallel'));
      expect(outcomes.map(({ result }) => result?.content?.text)).toEqual(['answer to first', 'answer to second']);
    });

    test('an error of the client reaches the server as that error', async () => {
      const client = await connectWith[version](exposed.url, exposed.token, {
        elicit: () => {
          throw new Error('nobody is at home');
        },
      });
      const outcome = parseJson<Outcome>(await client.call('ask-elicitation'));
      expect(outcome.error?.message).toContain('nobody is at home');
    });
  });

  test('two clients that are asked at the same moment with the same request id answer for themselves', async () => {
    let both = 0;
    const bothAsked = gate();
    const clientCalled = (who: string) =>
      connectWith.v1(exposed.url, exposed.token, {
        sample: async () => {
          both += 1;
          if (both === 2) bothAsked.open();
          await bothAsked.opened;
          return `I am ${who}`;
        },
      });
    const clients = await Promise.all(['Ada', 'Grace'].map((who) => clientCalled(who)));
    const texts = await Promise.all(clients.map((client) => client.call('ask-sampling')));
    expect(texts.map((text) => parseJson<Outcome>(text).result?.content?.text)).toEqual(['I am Ada', 'I am Grace']);
  });

  test('the question travels on the stream of the call that caused it, before its answer', async () => {
    const session = await openSession(exposed.url, exposed.token, { capabilities: { roots: {} } });
    const call = await session.post(toolCall('c1', 'ask-roots'));
    expect(call.kind).toBe('sse');
    const question = await call.next(({ method }) => method === 'roots/list');
    expect(question.id).toBeDefined();
    const answered = await session.post({ jsonrpc: '2.0', id: question.id, result: { roots: [{ uri: 'file:///r' }] } });
    expect(answered.status).toBe(202);
    const answer = await call.next(({ id, method }) => id === 'c1' && method === undefined);
    expect(parseJson<Outcome>(textOf(answer)).result?.roots).toEqual([{ uri: 'file:///r' }]);
    expect(await call.ended).toHaveLength(2);
  });

  test('an answer from another session does not count', async () => {
    const asked = await openSession(exposed.url, exposed.token, { capabilities: { roots: {} } });
    const stranger = await openSession(exposed.url, exposed.token, { capabilities: { roots: {} } });
    const call = await asked.post(toolCall(2, 'ask-roots'));
    const { id } = await call.next(({ method }) => method === 'roots/list');
    const result = (uri: string) => ({ jsonrpc: '2.0', id, result: { roots: [{ uri }] } });
    await stranger.post(result('file:///stranger'));
    await asked.post(result('file:///asked'));
    const answer = await call.next((message) => message.id === 2 && message.method === undefined);
    expect(parseJson<Outcome>(textOf(answer)).result?.roots).toEqual([{ uri: 'file:///asked' }]);
  });
});
