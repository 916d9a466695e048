// Known faults of other bridges that are attacked here:
// - supergateway 4.0.0, stdio to SSE: every answer goes to every client (its issue 35), a second or a returning client
//   ends the gateway (its issues 112, 138, 153)
// - supergateway 4.0.0, stateful: after a cancelled call the session has no progress any more; progress of one call on
//   the stream of another
// - mcp-proxy 6.7.19: log messages of one session reach all; the state that a server keeps is common to all callers
import { describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { textOf } from '../harness/json-rpc-message.ts';
import { fixture } from '../harness/program.ts';
import { openSession, type Reply } from '../harness/raw-mcp.ts';
import { inlineServer } from './inline-server.ts';
import { openLegacySession } from './legacy-client.ts';

const expose = (server: string[], isolation: string): Promise<Exposed> =>
  startExpose({ server, args: ['--tunnel', 'none', '--isolation', isolation] });

const toolCall = (id: number, name: string, args: object, progressToken?: string | number): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(progressToken !== undefined && { _meta: { progressToken } }) },
});

describe.each(['session', 'shared'])('with --isolation %s', (isolation) => {
  test('clients of the older transport with equal ids get their own answers and nothing of each other', async () => {
    const exposed = await expose(fixture('echo'), isolation);
    const [one, two] = await Promise.all([
      openLegacySession(exposed.url, exposed.token),
      openLegacySession(exposed.url, exposed.token),
    ]);
    const answers = await Promise.all([
      one.call(7, 'tools/call', { name: 'echo', arguments: { text: 'secret of one' } }),
      two.call(7, 'tools/call', { name: 'echo', arguments: { text: 'secret of two' } }),
    ]);
    expect(answers.map((answer) => textOf(answer))).toEqual(['secret of one', 'secret of two']);
    // What would have been broadcast has arrived when an answer to a later call has.
    await Promise.all([one.call('last', 'ping'), two.call('last', 'ping')]);
    expect(one.messages.map(({ id }) => id)).toEqual([1, 7, 'last']);
    expect(two.messages.map(({ id }) => id)).toEqual([1, 7, 'last']);
    expect(JSON.stringify(one.messages)).not.toContain('secret of two');
    expect(JSON.stringify(two.messages)).not.toContain('secret of one');
  });

  test('clients of the older transport come and go as often as they like', async () => {
    const exposed = await expose(fixture('echo'), isolation);
    const stays = await openLegacySession(exposed.url, exposed.token);
    for (let round = 0; round < 8; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is how a client reconnects
      const client = await openLegacySession(exposed.url, exposed.token);
      // oxlint-disable-next-line no-await-in-loop
      const answer = await client.call(2, 'tools/call', { name: 'echo', arguments: { text: `round ${round}` } });
      expect(textOf(answer)).toBe(`round ${round}`);
      client.hangUp();
    }
    expect(await stays.call(3, 'tools/list')).toHaveProperty('result');
    expect(stays.messages.map(({ id }) => id)).toEqual([1, 3]);
  });

  test('a cancelled call leaves the progress of all later calls as it was', async () => {
    const exposed = await expose(
      inlineServer(`{
        count: { call: ({ label }, { meta: { progressToken }, notify }) => {
          for (const progress of [1, 2, 3]) notify('notifications/progress', { progressToken, progress, message: label });
          return label;
        } },
        wait: { call: (args, { meta: { progressToken }, notify }) => {
          notify('notifications/progress', { progressToken, progress: 0 });
        } },
      }`),
      isolation,
    );
    const session = await openSession(exposed.url, exposed.token);
    const standalone = await session.listen();
    for (const id of [10, 20, 30]) {
      // oxlint-disable-next-line no-await-in-loop -- each cancelled call is followed by one that is not
      const waiting: Reply = await session.post(toolCall(id, 'wait', {}, 'cancelled'));
      // oxlint-disable-next-line no-await-in-loop
      await waiting.next(({ method }) => method === 'notifications/progress');
      // oxlint-disable-next-line no-await-in-loop
      await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
      // oxlint-disable-next-line no-await-in-loop
      await waiting.ended;
      // oxlint-disable-next-line no-await-in-loop
      const [first, second] = await Promise.all(
        ['first', 'second'].map(async (label, at) => {
          const reply = await session.post(toolCall(id + 1 + at, 'count', { label }, label));
          return reply.ended;
        }),
      );
      for (const [messages, label] of [
        [first ?? [], 'first'],
        [second ?? [], 'second'],
      ] as const) {
        expect(messages.map(({ params, result }) => params?.['message'] ?? result?.content?.[0]?.text)).toEqual(
          Array.from({ length: 4 }, () => label),
        );
        expect(messages.slice(0, 3).map(({ params }) => params?.['progressToken'])).toEqual([label, label, label]);
      }
    }
    expect(standalone.messages).toEqual([]);
  });
});

test('log messages of one session reach no other, on whatever transport it listens', async () => {
  const exposed = await expose(fixture('notifies'), 'session');
  const [speaks, hears, overhears] = await Promise.all([
    openSession(exposed.url, exposed.token),
    openSession(exposed.url, exposed.token),
    openLegacySession(exposed.url, exposed.token),
  ]);
  const [own, standalone] = await Promise.all([speaks.listen(), hears.listen()]);
  await (
    await speaks.post(toolCall(3, 'change', { label: 'private', after: true }))
  ).ended;
  await own.next(({ method }) => method === 'notifications/message');
  await Promise.all([hears.call(4, 'ping'), overhears.call(4, 'ping')]);
  expect(standalone.messages).toEqual([]);
  expect(overhears.messages.map(({ id }) => id)).toEqual([1, 4]);
});

test('what a server remembers of one client is unknown to the next', async () => {
  const exposed = await expose(fixture('remembers'), 'session');
  const [one, two] = await Promise.all([
    openSession(exposed.url, exposed.token, { capabilities: { roots: {} } }),
    openSession(exposed.url, exposed.token),
  ]);
  await one.call(2, 'logging/setLevel', { level: 'debug' });
  await one.call(3, 'resources/subscribe', { uri: 'test://a' });
  const remembered: unknown = JSON.parse(
    textOf(await two.call(4, 'tools/call', { name: 'remembered', arguments: {} })),
  );
  expect(remembered).toMatchObject({ initialize: { capabilities: {} }, initialized: 1, subscribed: [] });
  expect(remembered).not.toHaveProperty('level');
});
