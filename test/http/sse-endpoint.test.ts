// The older transport (MCP 2024-11-05, "HTTP with SSE").
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createDeferred } from '../../src/platform/deferred.ts';
import { agreement, initialize, notification, request, response } from '../bridge/messages.ts';
import { eventually, within } from '../harness/eventually.ts';
import { arrivalOf, clientHeaders, startGateway, verdict } from './gateway.ts';
import { credential, join, oldClient, open } from './sse-client.ts';
import { protocols, readUntil, startWeb, type Answer } from './web.ts';

afterEach(() => void vi.useRealTimers());

const ping = { id: 1, method: 'ping' };

describe.each(protocols)('over %s', (protocol) => {
  test('a client is told where to POST, each of them elsewhere', async () => {
    const gateway = await startGateway(protocol);
    const [one, other] = [await join(gateway), await join(gateway, '/sse?x=1')];
    expect(one.path).toMatch(/^\/messages\?sessionId=[A-Za-z0-9_-]{22}$/);
    expect(other.path).not.toBe(one.path);
    expect(gateway.upstreams).toEqual([]);
  });

  test('what is POSTed is accepted, and everything else comes on the stream', async () => {
    const client = await oldClient(protocol);
    const upstream = await open(client);
    expect((await client.send({ method: 'notifications/initialized' })).status).toBe(202);
    const call = { id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } };
    const accepted = await client.send(call);
    expect([accepted.status, await accepted.body()]).toEqual([202, 'Accepted']);
    const everything = client.next('"done"');
    upstream.say(notification('notifications/progress', { progressToken: 't', progress: 1 }));
    upstream.say(notification('notifications/tools/list_changed'));
    upstream.say(request('ask', 'roots/list'));
    expect((await client.send({ id: 'ask', result: { roots: [] } })).status).toBe(202);
    await eventually(() => expect(upstream.sent.at(-1)).toContain('"roots":[]'));
    upstream.say(response(1, { done: true }));
    const seen = await everything;
    for (const text of ['"progress":1', 'list_changed', 'roots/list']) expect(seen).toContain(text);
    expect(seen).not.toMatch(/^(?:id|retry):/m);
    expect(client.gateway.reports.map(({ method }) => method)).toEqual(['initialize', 'tools/call']);
  });

  test('a client that goes ends its session', async () => {
    const client = await oldClient(protocol);
    const upstream = await open(client);
    client.hangUp();
    await eventually(() => expect(upstream.closeCalls).toBeGreaterThan(0));
    expect(await verdict(await client.send(ping))).toEqual([404, -32001, null]);
  });

  test('a server that dies fails what it was asked, and ends the stream', async () => {
    const client = await oldClient(protocol);
    const upstream = await open(client);
    await client.send(ping);
    const failed = client.next('"upstream_exited"');
    const ended = new Promise((resolve) => {
      client.stream.once('end', resolve);
    });
    upstream.die();
    expect(await failed).toContain('"id":1');
    await within(15_000, 'the end of the stream', ended);
  });

  test('a revision that the server insists on is served', async () => {
    const client = await oldClient(protocol, { agreeable: false });
    expect((await client.send(initialize.json)).status).toBe(202);
    await eventually(() => expect(client.gateway.upstreams[0]?.sent).toHaveLength(1));
    const answered = client.next('"serverInfo"');
    client.gateway.upstreams[0]?.say(agreement(0, '2026-07-28'));
    await answered;
    const accepted = await client.send(ping, { 'mcp-protocol-version': '2026-07-28' });
    await eventually(() => expect(client.gateway.upstreams[0]?.sent).toHaveLength(2));
    expect(accepted.status).toBe(202);
  });

  test('a compressed body is refused: 415', async () => {
    const client = await oldClient(protocol);
    const refused = await client.send(initialize.json, { 'content-encoding': 'gzip' });
    expect([refused.status, refused.headers['accept-encoding']]).toEqual([415, 'identity']);
  });

  test.each([
    ['/sse', 'POST', 'GET'],
    ['/sse', 'DELETE', 'GET'],
    ['/messages', 'GET', 'POST'],
  ])('%s takes no %s: 405', async (path, method, allow) => {
    const { web } = await startGateway(protocol);
    const answer = await web.ask({ path, method, headers: credential });
    expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
  });

  test('/sse needs no Accept, but one that does not admit it is refused', async () => {
    const { web } = await startGateway(protocol);
    expect((await web.ask({ path: '/sse', headers: credential })).status).toBe(200);
    const refused = await web.ask({ path: '/sse', headers: { ...credential, accept: 'application/json' } });
    expect(refused.status).toBe(406);
  });

  test('strangers are told nothing', async () => {
    const { web, post } = await startGateway(protocol);
    expect((await web.ask({ path: '/sse' })).status).toBe(401);
    const answer = await post(ping, { authorization: 'Bearer wrong' }, { path: '/messages?sessionId=x' });
    expect(answer.status).toBe(401);
  });

  test('draining refuses what is new and waits for what is under way', async () => {
    const client = await oldClient(protocol);
    const upstream = await open(client);
    await client.send(ping);
    let drained = false;
    const draining = client.gateway.sse.drain().then(() => (drained = true));
    expect(await verdict(await client.send({ id: 2, method: 'ping' }))).toEqual([503, -32000, null]);
    const { web } = client.gateway;
    expect((await web.ask({ path: '/sse', headers: credential })).status).toBe(503);
    expect(drained).toBe(false);
    const answered = client.next('"result":{}');
    upstream.say(response(1));
    await Promise.all([answered, draining]);
  });

  test('silence is broken', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const client = await oldClient(protocol);
    const silence = client.next(': keep-alive');
    vi.advanceTimersByTime(20_000);
    expect(await silence).toContain(': keep-alive\n\n');
  });

  test('a connection that opens no session is ended after a while', async () => {
    const client = await oldClient(protocol, { sse: { startTimeoutMs: 50 } });
    await within(
      15_000,
      'the end of the stream',
      new Promise((resolve) => {
        client.stream.once('end', resolve);
        client.stream.resume();
      }),
    );
    expect((await client.send(initialize.json)).status).toBe(404);
  });

  test('one that has opened a session is not', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const gateway = await startGateway(protocol, { sse: { startTimeoutMs: 5000 } });
    const client = await join(gateway);
    const upstream = await open(client);
    vi.advanceTimersByTime(50_000);
    expect((await client.send(ping)).status).toBe(202);
    const answered = client.next('"result":{}');
    upstream.say(response(1));
    expect(await answered).toContain('"id":1');
  });

  test('of those without a session there may be some, then the oldest is ended', async () => {
    const gateway = await startGateway(protocol, { sse: { maxWaiting: 2 } });
    const served = await join(gateway);
    await open(served);
    const oldest = await join(gateway);
    const ended = new Promise((resolve) => {
      oldest.stream.once('end', resolve);
    });
    const [second, third] = [await join(gateway), await join(gateway)];
    oldest.stream.resume();
    await within(15_000, 'the end of the oldest', ended);
    await open(second);
    await open(third);
    expect((await served.send(ping)).status).toBe(202);
  });
});

test.each([
  ['/sse', '/messages'],
  ['/sse?a=/b/', '/messages'],
  ['/name/sse', '/name/messages'],
  ['/sse/', '/messages'],
  ['/name/sse//', '/name/messages'],
])('from %s the path to POST to is %s, also below whatever a proxy has cut off in front', async (path, messages) => {
  const { sse } = await startGateway('HTTP/1.1');
  const web = await startWeb('HTTP/1.1', (asked, answer) => sse.handle(asked, answer, { id: 'a', label: 'a' }));
  const { stream } = await web.ask({ path });
  const [, reference = ''] = /^event: endpoint\ndata: (.*)\n\n/.exec(await readUntil(stream, '\n\n')) ?? [];
  for (const prefix of ['', '/prefix', '/a/b']) {
    const { pathname, search } = new URL(reference, `https://host.example${prefix}${path}`);
    expect(pathname).toBe(`${prefix}${messages}`);
    expect(search).toMatch(/^\?sessionId=[A-Za-z0-9_-]{22}$/);
  }
});

test('a connection of one caller is not there for another', async () => {
  const { sse } = await startGateway('HTTP/1.1');
  let caller = 'a';
  const web = await startWeb('HTTP/1.1', (asked, answer) => {
    if (asked.method === 'GET') sse.handle(asked, answer, { id: caller, label: caller });
    else sse.handleMessage(asked, answer, { id: caller, label: caller });
  });
  const { stream } = await web.ask();
  const path = `/${/data: (.*)/.exec(await readUntil(stream, '\n\n'))?.[1]}`;
  const post = (): Promise<Answer> =>
    web.ask({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: initialize.bytes.toString(),
    });
  caller = 'b';
  expect((await post()).status).toBe(404);
  caller = 'a';
  expect((await post()).status).toBe(202);
});

describe.each(protocols)('over %s, while the server reads nothing', (protocol) => {
  test('nothing is read from its clients', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await gateway.openSession();
    const client = await join(gateway);
    const old = await open(client);
    upstream.fill();
    old.fill();
    const [plain, accepted] = [gateway.post(ping, headers), client.send(ping)];
    // Another session is not held up, and what it is asked later comes first.
    const other = await gateway.openSession();
    await gateway.post({ method: 'notifications/x' }, other.headers);
    expect([upstream.sent.length, old.sent.length, other.upstream.sent.length]).toEqual([1, 1, 2]);
    const arrivals = [arrivalOf(upstream, 'ping'), arrivalOf(old, 'ping')];
    upstream.drain();
    old.drain();
    await Promise.all(arrivals);
    upstream.say(response(1));
    expect([(await plain).status, (await accepted).status]).toEqual([200, 202]);
  });

  test('a client that goes is forgotten', async () => {
    const gateway = await startGateway(protocol);
    const { headers, upstream } = await gateway.openSession();
    const closed = createDeferred<void>();
    const web = await startWeb(protocol, (asked, answer) => {
      answer.once('close', closed.resolve);
      gateway.handler(asked, answer);
      web.hangUpAll();
    });
    upstream.fill();
    void web.ask({ method: 'POST', headers: { ...clientHeaders, ...headers }, body: '{' });
    await within(15_000, 'the end of the request', closed.promise);
    upstream.drain();
    expect((await gateway.post({ method: 'notifications/x' }, headers)).status).toBe(202);
    expect(upstream.sent).toHaveLength(2);
  });
});
