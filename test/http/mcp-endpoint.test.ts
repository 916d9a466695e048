import { afterEach, describe, expect, test, vi } from 'vitest';
import { agreement, initialize, response } from '../bridge/messages.ts';
import { eventually } from '../harness/eventually.ts';
import { clientHeaders, startGateway, verdict } from './gateway.ts';
import { protocols, readUntil } from './web.ts';

const ping = { id: 1, method: 'ping' };

afterEach(() => void vi.useRealTimers());

describe.each(protocols)('over %s', (protocol) => {
  test('DELETE ends a session: 204, then 404', async () => {
    const { web, post, openSession } = await startGateway(protocol);
    const { headers, upstream } = await openSession();
    const all = { ...clientHeaders, ...headers };
    const answer = await web.ask({ method: 'DELETE', headers: all });
    expect([answer.status, await answer.body()]).toEqual([204, '']);
    expect(upstream.closeCalls).toBeGreaterThan(0);
    expect((await web.ask({ method: 'DELETE', headers: all })).status).toBe(404);
    expect((await post(ping, headers)).status).toBe(404);
  });

  test('DELETE without a session: 400', async () => {
    const { web } = await startGateway(protocol);
    expect(await verdict(await web.ask({ method: 'DELETE', headers: clientHeaders }))).toEqual([400, -32000, null]);
  });

  test.each(['PUT', 'PATCH', 'OPTIONS'])('%s: 405, with what is allowed', async (method) => {
    const { web } = await startGateway(protocol);
    const answer = await web.ask({ method, headers: clientHeaders });
    expect(answer.headers['allow']).toBe('GET, POST, DELETE');
    expect(await verdict(answer)).toEqual([405, -32000, null]);
  });

  describe('draining', () => {
    test('refuses what is new and waits for what is under way', async () => {
      const { mcp, post, openSession } = await startGateway(protocol);
      const { headers, upstream } = await openSession();
      const call = post({ id: 1, method: 'tools/call' }, headers);
      await eventually(() => expect(upstream.sent).toHaveLength(2));
      let drained = false;
      const draining = mcp.drain().then(() => (drained = true));
      expect(await verdict(await post(ping, headers))).toEqual([503, -32000, null]);
      expect(drained).toBe(false);
      upstream.say(response(1));
      await draining;
      expect((await call).status).toBe(200);
    });

    test('without anything under way is done at once', async () => {
      const { mcp, openSession } = await startGateway(protocol);
      await openSession();
      await expect(mcp.drain()).resolves.toBeUndefined();
    });
  });

  test('every request is reported when it is over, with its method', async () => {
    const { post, openSession, reports } = await startGateway(protocol);
    const { headers, upstream } = await openSession();
    const answer = post({ id: 1, method: 'tools/call' }, headers);
    await eventually(() => expect(upstream.sent).toHaveLength(2));
    expect(reports.map(({ method }) => method)).toEqual(['initialize']);
    upstream.say(response(1));
    await answer;
    expect(reports.map(({ method }) => method)).toEqual(['initialize', 'tools/call']);
    expect(reports.every(({ durationMs }) => durationMs >= 0)).toBe(true);
  });
});

test('silence is broken by keep-alive comments, on calls and on the GET stream', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { post, get, openSession } = await startGateway('HTTP/1.1');
  const { headers, upstream } = await openSession();
  const listening = await get(headers);
  const call = post({ id: 1, method: 'tools/call' }, headers);
  await eventually(() => expect(upstream.sent).toHaveLength(2));
  vi.advanceTimersByTime(20_000);
  await readUntil(listening.stream, ': keep-alive');
  await readUntil((await call).stream, ': keep-alive');
});

test('calls and initialize begin to be answered within five seconds, and silence is broken within fifteen', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { post, upstreams } = await startGateway('HTTP/1.1', { agreeable: false });
  const opening = post(initialize.json);
  await eventually(() => expect(upstreams[0]?.sent).toHaveLength(1));
  vi.advanceTimersByTime(5000);
  const { headers, stream } = await opening;
  expect(headers).toMatchObject({ 'content-type': 'text/event-stream', 'mcp-session-id': expect.any(String) });
  await readUntil(stream, ': listening');
  vi.advanceTimersByTime(15_000);
  await readUntil(stream, ': keep-alive');
  upstreams[0]?.say(agreement());
  await readUntil(stream, '"protocolVersion"');
  const call = post({ id: 1, method: 'tools/call' }, { 'mcp-session-id': String(headers['mcp-session-id']) });
  await eventually(() => expect(upstreams[0]?.sent).toHaveLength(2));
  vi.advanceTimersByTime(5000);
  await readUntil((await call).stream, 'retry: ');
});
