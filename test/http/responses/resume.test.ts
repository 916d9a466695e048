// Clients that lose their connection and come back (MCP 2025-11-25, Streamable HTTP, "Resumability and Redelivery").
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EventStore } from '../../../src/http/responses/event-store.ts';
import { notification, request, response } from '../../bridge/messages.ts';
import { eventually, within } from '../../harness/eventually.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { arrivalOf, clientHeaders, startGateway, type Gateway, type OpenSession } from '../gateway.ts';
import { linesIn } from './streams-world.ts';
import { eventsIn, protocols, readUntil, type Answer, type Headers } from '../web.ts';

afterEach(() => void vi.useRealTimers());

const call = (id: number | string) => ({ id, method: 'tools/call', params: { _meta: { progressToken: `of ${id}` } } });
const progress = (id: number | string, n: number) =>
  notification('notifications/progress', { progressToken: `of ${id}`, progress: n });
const ask = request('ask', 'elicitation/create');
const loose = notification('notifications/message', { data: 'loose' });

interface World extends OpenSession {
  readonly gateway: Gateway;
  /** POSTs a call and waits until the server has it. */
  readonly begin: (id: number | string) => Promise<{ readonly answer: Promise<Answer> }>;
  readonly come: (lastEventId?: string, more?: Headers) => Promise<Answer>;
}

async function world(...[protocol, options]: Parameters<typeof startGateway>): Promise<World> {
  const gateway = await startGateway(protocol, options);
  return inSession(gateway, await gateway.openSession());
}

function inSession(gateway: Gateway, session: OpenSession): World {
  const { headers, upstream } = session;
  return {
    ...session,
    gateway,
    async begin(id) {
      const arrived = arrivalOf(upstream, 'tools/call');
      const answer = gateway.post(call(id), headers);
      await within(15_000, 'the call', arrived);
      return { answer };
    },
    come: (lastEventId, more = {}) =>
      gateway.get({ ...headers, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }), ...more }),
  };
}

/** Goes away, and waits until the other side has noticed: a request that nobody waits for is reported. */
async function hangUp(gateway: Gateway, answer: Answer): Promise<void> {
  const before = gateway.reports.length;
  answer.hangUp();
  await eventually(() => expect(gateway.reports.length).toBe(before + 1));
}

async function refusalOf(answer: Answer): Promise<unknown> {
  const { error } = parseJson<{ error: { code: number; message: string } }>(await answer.body());
  return [answer.status, error.code, error.message];
}

describe.each(protocols)('over %s', (protocol) => {
  test('a call that is cut off goes on, and its client gets the rest: once, and nothing of others', async () => {
    const { gateway, upstream, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    const { answer: other } = await begin(2);
    upstream.say(progress(1, 1));
    upstream.say(progress(2, 1));
    const cut = await answer;
    expect(linesIn(await readUntil(cut.stream, '"progress":1}}\n\n'))[0]).toBe('1-0 1000 ');
    await hangUp(gateway, cut);
    upstream.say(progress(1, 2));
    upstream.say(progress(2, 2));
    const again = await come('1-1');
    expect(again.headers['content-type']).toBe('text/event-stream');
    upstream.say(progress(1, 3));
    upstream.say(response(1, { done: true }));
    upstream.say(response(2));
    expect(linesIn(await again.body())).toEqual([
      '1-1 1000 ',
      `1-2 ${progress(1, 2).bytes.toString()}`,
      `1-3 ${progress(1, 3).bytes.toString()}`,
      `1-4 ${response(1, { done: true }).bytes.toString()}`,
    ]);
    expect(eventsIn(await (await other).body()).at(-1)).toEqual(response(2).json);
  });

  test('a call that ends while its client is away waits for it, and is over then', async () => {
    const { gateway, upstream, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    await hangUp(gateway, await answer);
    upstream.say(progress(1, 2));
    upstream.say(response(1));
    expect(eventsIn(await (await come('1-0')).body())).toEqual(
      [progress(1, 1), progress(1, 2), response(1)].map(({ json }) => json),
    );
    expect(eventsIn(await (await come('1-2')).body())).toEqual([response(1).json]);
    const nothing = await come('1-3');
    expect(nothing.headers['allow']).toBe('POST, DELETE');
    expect(await refusalOf(nothing)).toEqual([405, -32000, 'no events follow this Last-Event-ID']);
  });

  test('a server that dies while the client is away leaves it an error and no session', async () => {
    const { gateway, upstream, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    await hangUp(gateway, await answer);
    upstream.die();
    expect((await come('1-1')).status).toBe(404);
  });

  test('an answer that is too large to be kept is an error for the client that comes back', async () => {
    const eventStore = new EventStore({ maxSessionBytes: 5000 });
    const { gateway, upstream, begin, come } = await world(protocol, { resumption: { eventStore } });
    const { answer } = await begin('a');
    upstream.say(progress('a', 1));
    await hangUp(gateway, await answer);
    upstream.say(response('a', { filling: 'x'.repeat(5000) }));
    expect(eventsIn(await (await come('1-1')).body())).toMatchObject([
      { id: 'a', error: { code: -32603, data: { reason: 'answer_not_kept' } } },
    ]);
  });

  test('an id that was never given is refused, whatever it is', async () => {
    const { come, begin, upstream } = await world(protocol);
    await begin(1);
    upstream.say(progress(1, 1));
    for (const id of ['1-2', '2-0', 'g1', 'x', '1-1, 1-1', '9'.repeat(1000)]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const answer = await come(id);
      const message = `the Last-Event-ID ${JSON.stringify(id.slice(0, 64))} was never sent in this session`;
      // oxlint-disable-next-line no-await-in-loop -- as above
      expect(await refusalOf(answer)).toEqual([400, -32000, message]);
    }
  });

  test('an id of another session is worth nothing', async () => {
    const first = await world(protocol);
    const second = inSession(first.gateway, await first.gateway.openSession());
    await first.begin(1);
    first.upstream.say(progress(1, 1));
    expect((await second.come('1-0')).status).toBe(400);
    await second.begin(2);
    second.upstream.say(progress(2, 1));
    const own = await second.come('1-0');
    expect(await readUntil(own.stream, '"progress":1}}')).not.toContain('of 1');
  });

  test('initialize is not numbered, nor what is JSON', async () => {
    const gateway = await startGateway(protocol, { agreeable: false });
    const answer = gateway.post({ id: 0, method: 'initialize', params: {} });
    await eventually(() => expect(gateway.upstreams[0]?.sent).toHaveLength(1));
    const upstream = gateway.upstreams[0];
    if (upstream === undefined) throw new Error('no server was started');
    upstream.say(loose);
    upstream.say(response(0, { protocolVersion: '2025-11-25' }));
    const { headers, body } = await answer;
    expect(await body()).not.toMatch(/^(?:id|retry):/m);
    const session = { 'mcp-session-id': String(headers['mcp-session-id']) };
    const arrived = arrivalOf(upstream, 'ping');
    const ping = gateway.post({ id: 1, method: 'ping' }, session);
    await arrived;
    upstream.say(response(1));
    expect(await (await ping).body()).toBe(response(1).bytes.toString());
    expect((await gateway.get({ ...session, 'last-event-id': '1-0' })).status).toBe(400);
  });

  test('clients of older revisions get ids, and no event without data', async () => {
    const gateway = await startGateway(protocol);
    const { upstream, begin, come } = inSession(gateway, await gateway.openSession('2025-06-18'));
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    const cut = await answer;
    expect(linesIn(await readUntil(cut.stream, '"progress":1}}\n\n'))).toEqual([
      ': listening',
      `1-1 ${progress(1, 1).bytes.toString()}`,
    ]);
    await hangUp(gateway, cut);
    upstream.say(response(1));
    expect(linesIn(await (await come('1-1')).body())).toEqual([': listening', `1-2 ${response(1).bytes.toString()}`]);
  });

  test('a batch can be resumed', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream, come } = inSession(gateway, await gateway.openSession('2025-03-26'));
    const batch = JSON.stringify([call(1), call(2)].map((message) => ({ jsonrpc: '2.0', ...message })));
    const answer = await gateway.post(batch, headers);
    await eventually(() => expect(upstream.sent).toHaveLength(3));
    upstream.say(response(2));
    await readUntil(answer.stream, '"id":2');
    answer.hangUp();
    const again = await come('1-1');
    upstream.say(progress(1, 1));
    upstream.say(response(1));
    expect(eventsIn(await again.body())).toEqual([progress(1, 1).json, response(1).json]);
    expect((await come('1-3')).status).toBe(405);
  });

  test('the newer of two connections to one stream wins', async () => {
    const { gateway, upstream, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    const older = await answer;
    const newer = await come('1-0');
    expect(eventsIn(await older.body())).toEqual([progress(1, 1).json]);
    upstream.say(response(1));
    expect(eventsIn(await newer.body())).toEqual([progress(1, 1).json, response(1).json]);
    await within(15_000, 'nobody to wait', gateway.mcp.drain());
  });

  test('a resumed call is waited for when all is drained, a client that is away is not', async () => {
    const { gateway, upstream, begin, come } = await world(protocol);
    const [{ answer: away }, { answer: back }] = [await begin(1), await begin(2)];
    for (const id of [1, 2]) upstream.say(progress(id, 1));
    await hangUp(gateway, await away);
    await hangUp(gateway, await back);
    const again = await come('2-1');
    let drained = false;
    const draining = gateway.mcp.drain().then(() => (drained = true));
    await new Promise(setImmediate);
    expect(drained).toBe(false);
    upstream.say(response(2));
    await again.body();
    await within(15_000, 'the end of the drain', draining);
  });

  test('silence on a resumed call is broken', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { gateway, upstream, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    await hangUp(gateway, await answer);
    const again = await come('1-1');
    vi.advanceTimersByTime(20_000);
    expect(await readUntil(again.stream, ': keep-alive')).toContain('1-1');
  });

  test('DELETE ends the streams, and what was kept', async () => {
    const { gateway, upstream, headers, begin, come } = await world(protocol);
    const { answer } = await begin(1);
    upstream.say(progress(1, 1));
    const listening = await come();
    const open = await answer;
    expect((await gateway.web.ask({ method: 'DELETE', headers: { ...clientHeaders, ...headers } })).status).toBe(204);
    expect(linesIn(await listening.body())).toEqual(['g2-0 1000 ']);
    expect((await open.body()).match(/"code":-32603/g)).toHaveLength(1);
    expect((await come('1-0')).status).toBe(404);
  });

  describe('a client that listens', () => {
    test('gets what it has missed, and then what has waited for it', async () => {
      const { upstream, come } = await world(protocol);
      const cut = await come();
      upstream.say(notification('notifications/message', { data: 'one' }));
      await readUntil(cut.stream, '"one"');
      upstream.say(notification('notifications/message', { data: 'two' }));
      // Written into a connection that is lost without anybody having noticed.
      const again = await come('g1-1');
      upstream.say(notification('notifications/message', { data: 'three' }));
      const lines = linesIn(await readUntil(again.stream, '"three"}}\n\n'));
      expect(lines.map((line) => line.replace(/\{.*"data":(".*").*/, '$1'))).toEqual([
        'g1-1 1000 ',
        'g1-2 "two"',
        'g1-3 "three"',
      ]);
    });

    test('can listen anew when what it has missed is dropped', async () => {
      const eventStore = new EventStore({ maxSessionBytes: 2000 });
      const { upstream, begin, come } = await world(protocol, { resumption: { eventStore } });
      const cut = await come();
      upstream.say(loose);
      await readUntil(cut.stream, 'loose');
      cut.hangUp();
      await begin(1);
      for (let n = 0; n < 4; n++) upstream.say(progress(1, n));
      const again = await come('g1-0');
      upstream.say(notification('notifications/prompts/list_changed'));
      expect(await readUntil(again.stream, 'prompts/list_changed')).not.toContain('loose');
    });

    test('does not get what another of its streams got', async () => {
      const { upstream, come } = await world(protocol);
      const first = await come();
      upstream.say(notification('notifications/message', { data: 'first' }));
      await readUntil(first.stream, '"first"');
      const second = await come();
      upstream.say(notification('notifications/message', { data: 'second' }));
      await readUntil(second.stream, '"second"');
      const again = await come('g1-0');
      upstream.say(notification('notifications/message', { data: 'third' }));
      expect(await readUntil(again.stream, '"third"')).not.toContain('"second"');
    });
  });

  describe('an ask on a connection that is lost', () => {
    test('is in what its client comes back for, and its answer counts', async () => {
      const { gateway, upstream, headers, begin, come } = await world(protocol);
      const { answer } = await begin(1);
      upstream.say(progress(1, 1));
      await hangUp(gateway, await answer);
      upstream.say(ask);
      const again = await come('1-1');
      await readUntil(again.stream, 'elicitation/create');
      expect((await gateway.post({ id: 'ask', result: {} }, headers)).status).toBe(202);
      expect(upstream.sent.at(-1)).toContain('"ask"');
      upstream.say(response(1));
      expect(eventsIn(await again.body())).toEqual([response(1).json]);
    });

    test('goes to who listens when its client does not come back, and not to both', async () => {
      const { gateway, upstream, begin, come } = await world(protocol, { resumption: { graceMs: 10 } });
      const listening = await come();
      const { answer } = await begin(1);
      upstream.say(progress(1, 1));
      const cut = await answer;
      upstream.say(ask);
      await readUntil(cut.stream, 'elicitation/create');
      await hangUp(gateway, cut);
      await readUntil(listening.stream, 'elicitation/create');
      upstream.say(response(1));
      expect(eventsIn(await (await come('2-1')).body())).toEqual([response(1).json]);
    });

    test('waits for its client as long as that is expected back, whoever listens', async () => {
      const { gateway, upstream, begin, come } = await world(protocol);
      const { answer } = await begin(1);
      upstream.say(ask);
      await hangUp(gateway, await answer);
      const listening = await come();
      upstream.say(loose);
      expect(await readUntil(listening.stream, 'loose')).not.toContain('elicitation/create');
      await readUntil((await come('1-0')).stream, 'elicitation/create');
    });

    test('goes to who begins to listen later', async () => {
      const { gateway, upstream, begin, come } = await world(protocol, { resumption: { graceMs: 1 } });
      const { answer } = await begin(1);
      upstream.say(ask);
      await hangUp(gateway, await answer);
      await readUntil((await come()).stream, 'elicitation/create');
      upstream.say(response(1));
      expect(eventsIn(await (await come('1-0')).body())).toEqual([response(1).json]);
    });
  });
});

test('a client that stalls is only cut off: what was sent is there when it comes back', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { gateway, upstream, begin, come } = await world('HTTP/1.1');
  const { answer } = await begin(1);
  const large = notification('notifications/progress', { progressToken: 'of 1', filling: 'x'.repeat(64 * 1024) });
  upstream.say(progress(1, 1));
  const stalled = await answer;
  // More than any buffer on the way holds, and nobody reads.
  for (let sent = 0; sent < 400; sent++) upstream.say(large);
  await eventually(() => {
    vi.advanceTimersByTime(10_000);
    expect(gateway.reports).toHaveLength(2);
  });
  stalled.hangUp();
  upstream.say(response(1));
  expect(linesIn(await (await come('1-400')).body()).slice(1)).toEqual([
    `1-401 ${large.bytes.toString()}`,
    `1-402 ${response(1).bytes.toString()}`,
  ]);
});
