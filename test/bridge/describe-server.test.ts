import { afterEach, describe, expect, test, vi } from 'vitest';
import { describeServer, type ServerDescription } from '../../src/bridge/describe-server.ts';
import { ExposeError } from '../../src/errors.ts';
import type { RequestId } from '../../src/mcp/json-rpc.ts';
import { parseJson } from '../harness/parse-json.ts';
import { createFakeUpstream, type FakeUpstream } from './fake-upstream.ts';
import { agreement, failedResponse, request, response } from './messages.ts';

interface Sent {
  readonly id?: RequestId;
  readonly method?: string;
  readonly params?: { readonly cursor?: string };
}

/** A server that answers `initialize` and lists these pages of tools. */
function serverWith(pages: readonly number[]): FakeUpstream {
  const upstream = createFakeUpstream();
  upstream.onSent = (line) => {
    const { id, method, params } = parseJson<Sent>(line);
    if (id === undefined) return;
    if (method === 'initialize') upstream.say(agreement(id));
    if (method === 'tools/list') {
      const page = Number(params?.cursor ?? 0);
      const more = page + 1 < pages.length ? { nextCursor: String(page + 1) } : {};
      upstream.say(response(id, { tools: Array.from({ length: pages[page] ?? 0 }, () => ({})), ...more }));
    }
  };
  return upstream;
}

function described(
  upstream: FakeUpstream,
  signal = new AbortController().signal,
  onWarning: (message: string) => void = () => {},
): Promise<ServerDescription> {
  return describeServer({
    look: (use) => use(upstream),
    carriesBoth: true,
    era: 'legacy',
    onWarning,
    timeoutMs: 30_000,
    signal,
    checkAlone: 'run the command alone to check it',
    clientVersion: '9.9.9',
  });
}

test.each([
  ['that names itself', ['a']],
  ['in a circle', ['a', 'b', 'c']],
])('a cursor %s ends the count with a warning', async (_what, cursors) => {
  const upstream = createFakeUpstream();
  let listed = 0;
  upstream.onSent = (line) => {
    const { id, method } = parseJson<Sent>(line);
    if (id === undefined) return;
    if (method === 'initialize') upstream.say(agreement(id));
    if (method !== 'tools/list') return;
    const tools = [{ name: 'one' }, { name: 'two' }];
    upstream.say(response(id, { tools, nextCursor: cursors[listed++ % cursors.length] }));
  };
  const warnings: string[] = [];
  const { tools } = await described(upstream, undefined, (warning) => warnings.push(warning));
  expect([tools, listed]).toEqual([2, cursors.length + 1]);
  expect(warnings).toEqual(['tools/list repeats a cursor: only the first 2 tools are counted']);
});

async function failureOf(attempt: Promise<unknown>): Promise<ExposeError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExposeError)) throw new Error('no ExposeError was thrown', { cause: error });
  return error;
}

afterEach(() => void vi.useRealTimers());

describe('a server that answers', () => {
  test('is described by what it says of itself, and ended', async () => {
    const upstream = serverWith([3]);
    expect(await described(upstream)).toEqual({
      name: 'fake',
      version: '1.2.3',
      era: 'legacy',
      protocolVersion: '2025-11-25',
      tools: 3,
    });
    expect(upstream.closeCalls).toBe(1);
  });

  test('is greeted as the specification says', async () => {
    const upstream = serverWith([0]);
    await described(upstream);
    const sent = upstream.sent.map((line) => parseJson<unknown>(line));
    expect(sent[0]).toMatchObject({
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'mcp-expose', version: '9.9.9' } },
    });
    expect(sent[1]).toEqual({ jsonrpc: '2.0', method: 'notifications/initialized' });
    expect(sent[2]).toMatchObject({ method: 'tools/list', params: {} });
  });

  test('has its tools counted over all pages', async () => {
    const upstream = serverWith([2, 0, 5, 1]);
    expect(await described(upstream)).toMatchObject({ tools: 8 });
    expect(upstream.sent).toHaveLength(6);
  });

  test('with a list that never ends is not followed for ever', async () => {
    expect(await described(serverWith(Array.from({ length: 5000 }, () => 1)))).toMatchObject({ tools: 100 });
  });

  test('without tools is not asked for them', async () => {
    const upstream = createFakeUpstream();
    upstream.onSent = (line) => {
      const { id } = parseJson<Sent>(line);
      if (id !== undefined) upstream.say(response(id, { protocolVersion: '2025-03-26', capabilities: {} }));
    };
    expect(await described(upstream)).toEqual({
      name: 'unknown',
      version: '',
      era: 'legacy',
      protocolVersion: '2025-03-26',
      tools: 0,
    });
    expect(upstream.sent.some((line) => line.includes('tools/list'))).toBe(false);
  });

  test('and refuses to list its tools has none', async () => {
    const upstream = createFakeUpstream();
    upstream.onSent = (line) => {
      const { id, method } = parseJson<Sent>(line);
      if (id !== undefined) upstream.say(method === 'initialize' ? agreement(id) : failedResponse(id));
    };
    expect(await described(upstream)).toMatchObject({ name: 'fake', tools: 0 });
  });

  test('and pings meanwhile gets its answer', async () => {
    const upstream = createFakeUpstream();
    upstream.onSent = (line) => {
      const { id, method } = parseJson<Sent>(line);
      if (method === 'initialize') upstream.say(request('are you there', 'ping'));
      if (id === 'are you there') upstream.say(agreement(1, '2025-11-25'));
      if (method === 'tools/list' && id !== undefined) upstream.say(response(id, { tools: [] }));
    };
    await described(upstream);
    expect(upstream.sent[1]).toBe('{"jsonrpc":"2.0","id":"are you there","result":{}}');
  });

  test('and asks something meanwhile is told that nobody is there, instead of waiting for ever', async () => {
    const upstream = createFakeUpstream();
    let listing: RequestId = 0;
    upstream.onSent = (line) => {
      const { id, method } = parseJson<Sent>(line);
      if (method === 'initialize' && id !== undefined) upstream.say(agreement(id));
      if (method === 'tools/list' && id !== undefined) {
        listing = id;
        upstream.say(request('ask', 'roots/list'));
      }
      // Lists its tools only when its own question has been answered.
      if (id === 'ask') upstream.say(response(listing, { tools: [{}] }));
    };
    const answer = described(upstream);
    await new Promise(setImmediate);
    expect(upstream.sent.at(-1)).toBe(
      '{"jsonrpc":"2.0","id":"ask","error":{"code":-32601,"message":"roots/list is not supported by this client"}}',
    );
    expect(await answer).toMatchObject({ tools: 1 });
  });
});

describe('a server that does not', () => {
  test('because it refuses is told with its reason', async () => {
    const upstream = createFakeUpstream();
    upstream.onSent = () => upstream.say(failedResponse(1, { code: -32000, message: 'no licence' }));
    const { code, message } = await failureOf(described(upstream));
    expect([code, message]).toEqual(['upstream_refused', 'the server refused initialize: no licence']);
    expect(upstream.closeCalls).toBe(1);
  });

  test('because it exits is told with its last words', async () => {
    const upstream = createFakeUpstream();
    const attempt = failureOf(described(upstream));
    upstream.die({ reason: 'the server exited with code 7', stderr: '1\n2\n3\n4\n5\nno such database' });
    const { code, message, hints } = await attempt;
    expect([code, message]).toEqual(['upstream_exited', 'the server exited with code 7 before it had answered']);
    expect(hints).toEqual(['it printed: 2\n3\n4\n5\nno such database', 'run the command alone to check it']);
  });

  test('because it never started is told so', async () => {
    const upstream = createFakeUpstream();
    const attempt = failureOf(described(upstream));
    upstream.die({ reason: 'the server did not start: there is no command x', code: 'upstream_not_started' });
    const { code, message, hints } = await attempt;
    expect([code, message]).toEqual(['upstream_not_started', 'the server did not start: there is no command x']);
    expect(hints).toEqual(['run the command alone to check it']);
  });

  test('because it is silent is given up when its time is over', async () => {
    vi.useFakeTimers();
    const upstream = createFakeUpstream();
    const attempt = failureOf(described(upstream));
    await vi.advanceTimersByTimeAsync(30_000);
    const { code, message } = await attempt;
    expect([code, message]).toEqual(['upstream_silent', 'the server did not answer within 30 s']);
    expect([upstream.closeCalls, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test('before we are told to stop fails with the reason that we were told', async () => {
    const upstream = createFakeUpstream();
    const controller = new AbortController();
    const attempt = described(upstream, controller.signal);
    controller.abort(new Error('enough'));
    await expect(attempt).rejects.toThrow('enough');
    expect(upstream.closeCalls).toBe(1);
  });

  test('since we were told to stop before, is not even started', async () => {
    const upstream = createFakeUpstream();
    await expect(described(upstream, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(upstream.started).toBe(false);
  });
});
