import { describe, expect, test } from 'vitest';
import type { RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { message, notification, request, response } from '../messages.ts';
import { answered, written } from '../shared/world.ts';
import { call, envelope, exchangesWorld, reasonsOf, textsOf } from './exchanges-world.ts';

const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

const listen = (id: number | string): RpcRequest =>
  request(id, 'subscriptions/listen', { notifications: { toolsListChanged: true }, _meta: envelope });

describe('a request', () => {
  test('passes as it is, with all that belongs to it, although another client uses the same ids', () => {
    const { world, run, sent } = exchangesWorld();
    const [a, b] = [run(call(7)), run(call(7), { caller: 'you' })];
    expect(sent()).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'tool', _meta: { ...envelope, progressToken: 1 } },
      },
      {
        jsonrpc: '2.0',
        id: 2,
        method: 'tools/call',
        params: { name: 'tool', _meta: { ...envelope, progressToken: 2 } },
      },
    ]);
    world.server().say(notification('notifications/progress', { progressToken: 2, progress: 1 }));
    world
      .server()
      .say(written('{"jsonrpc":"2.0","id":2,"result":{"resultType":"x","ttlMs":1.0,"cacheScope":"public"}}'));
    expect([a.got, a.responses, b.got.map(({ json }) => json['params'])]).toEqual([
      [],
      [],
      [{ progressToken: 7, progress: 1 }],
    ]);
    expect(textsOf(b)).toEqual([
      '{"jsonrpc":"2.0","id":7,"result":{"resultType":"x","ttlMs":1.0,"cacheScope":"public"}}',
    ]);
  });

  test.each([
    ['those of its caller', true, [0, 1, 0]],
    ['nobody else, where callers are not known', false, [0, 0, 0]],
  ])('shares log messages that name no request with %s', (_whom, areCallersKnown, expected) => {
    const { world, run } = exchangesWorld({ areCallersKnown });
    const meta = { ...envelope, 'io.modelcontextprotocol/logLevel': 'info' };
    const mine = [1, 2].map((id) => run(request(id, 'tools/call', { name: 'tool', _meta: meta })));
    const silent = run(call(3), { caller: 'you' });
    world.server().say(notification('notifications/message', { level: 'info', data: 'x' }));
    expect([...mine, silent].map(({ got }) => got.length)).toEqual(expected);
    run(request(4, 'tools/call', { name: 'tool', _meta: meta }), { caller: 'you' });
    world.server().say(notification('notifications/message', { level: 'info', data: 'x' }));
    expect([...mine, silent].map(({ got }) => got.length)).toEqual(expected);
  });

  test('is cancelled by a client that goes, which is told as the end of its call', () => {
    const { world, run, sent } = exchangesWorld();
    const a = run(call());
    sent();
    a.leave();
    expect(sent()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 1 } }]);
    expect([a.ends, a.responses, a.failures]).toEqual([1, [], []]);
    world.server().say(response(1));
    expect(a.responses).toEqual([]);
  });

  test('is not cancelled by a client that goes after its answer', () => {
    const { world, run, sent } = exchangesWorld();
    const a = run(call());
    sent();
    world.server().say(response(1));
    a.leave();
    expect([sent(), a.ends, a.responses.length]).toEqual([[], 0, 1]);
  });

  test('fails when the server ends, with why; the next one starts another', () => {
    const { world, run } = exchangesWorld();
    const a = run(call());
    world.server().die({ stderr: 'ouch' });
    expect(a.failures).toEqual([
      {
        code: -32603,
        message: 'the server exited with code 1; its last stderr output: ouch',
        data: { reason: 'upstream_exited', exitCode: 1, signal: undefined, stderr: 'ouch' },
      },
    ]);
    const b = run(call());
    world.clock.advance(500);
    world.server().say(response(2));
    expect([b.responses.length, world.servers.length]).toEqual([1, 2]);
  });

  test('which the server has certainly not acted on waits for the next one', () => {
    const { world, run } = exchangesWorld();
    run(call());
    world.server().say(response(1));
    const a = run(call());
    world.server().die({ untaken: [request(2)] });
    expect(a.failures).toEqual([]);
    world.clock.advance(500);
    world.server().say(response(2));
    expect(a.responses.length).toBe(1);
  });

  test('that the server does not take fails', () => {
    const { world, run } = exchangesWorld();
    run(call());
    world.server().accepting = false;
    world.server().fill();
    expect(reasonsOf(run(call()))).toEqual(['upstream_not_reading']);
  });

  test('has a limit for each caller', () => {
    const { run } = exchangesWorld();
    for (let id = 0; id < 1000; id++) run(call(id));
    expect([reasonsOf(run(call())), reasonsOf(run(call(), { caller: 'you' }))]).toEqual([['too_many_calls'], []]);
  });

  test('whose client is slow holds up no other one, and gets everything in order', () => {
    const { world, run } = exchangesWorld();
    const [a, b] = [run(call(1)), run(call(2))];
    a.fast = false;
    for (const progressToken of [1, 2])
      for (let progress = 0; progress < 3; progress++)
        world.server().say(notification('notifications/progress', { progressToken, progress }));
    world.server().say(response(1));
    expect([a.got.length, a.responses.length, b.got.length, world.server().paused]).toEqual([1, 0, 3, false]);
    a.fast = true;
    a.drain();
    expect([a.got.length, a.responses.length]).toEqual([3, 1]);
  });
});

describe('a subscription', () => {
  test('is one at the server for each of a client, whose ids may collide', () => {
    const { world, run, sent } = exchangesWorld();
    const [a, b] = [run(listen('s')), run(listen('s'), { caller: 'you' })];
    expect(sent().map(({ id }) => id)).toEqual([1, 2]);
    world.server().say(notification('notifications/tools/list_changed', { _meta: { [subscriptionKey]: 2 } }));
    expect([a.got.length, b.got.map(({ json }) => json['params'])]).toEqual([
      0,
      [{ _meta: { [subscriptionKey]: 's' } }],
    ]);
    world.server().say(response(2, { resultType: 'complete', _meta: { [subscriptionKey]: 2 } }));
    expect(b.responses.map(({ json }) => json)).toEqual([
      { jsonrpc: '2.0', id: 's', result: { resultType: 'complete', _meta: { [subscriptionKey]: 's' } } },
    ]);
    a.leave();
    expect(sent()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 1 } }]);
  });

  test('that a server over stdio ends in its way ends with a result', () => {
    const { world, run } = exchangesWorld();
    const a = run(listen('s'));
    world.server().say(notification('notifications/cancelled', { requestId: 1 }));
    expect([a.got, a.responses.map(({ json }) => json['result'])]).toEqual([
      [],
      [{ resultType: 'complete', _meta: { [subscriptionKey]: 's' } }],
    ]);
  });

  test('ends with a result when its caller or the run ends', async () => {
    const { exchanges, run } = exchangesWorld();
    const [a, b] = [run(listen('s')), run(listen('s'), { caller: 'you' })];
    exchanges.endCaller('me');
    expect([a.responses.length, b.responses.length]).toEqual([1, 0]);
    await exchanges.close();
    expect([...a.responses, ...b.responses].map(({ json }) => json['result'])).toEqual(
      [1, 2].map(() => ({ resultType: 'complete', _meta: { [subscriptionKey]: 's' } })),
    );
    expect([...a.failures, ...b.failures]).toEqual([]);
  });
});

describe('headers that repeat arguments', () => {
  const wrong = { paramHeaders: new Map([['mcp-param-region', 'eu']]) };
  const right = { paramHeaders: new Map([['mcp-param-region', 'us']]) };
  const query = call(2, 'query', { arguments: { region: 'us', text: 'x'.repeat(100_000) } });
  const properties = { region: { type: 'string', 'x-mcp-header': 'Region' } };
  const tools = [{ name: 'query', inputSchema: { properties } }];

  test('must be right', () => {
    const { world, run, sent } = exchangesWorld();
    run(request('l', 'tools/list', { _meta: envelope }));
    world.server().say(response(1, { tools }));
    expect(sent().length).toBe(1);
    expect(run(query, wrong).failures).toMatchObject([{ code: -32020 }]);
    expect(run(query, { paramHeaders: new Map() }).failures).toMatchObject([{ code: -32020 }]);
    run(query, right);
    run(query);
    expect(sent().length).toBe(2);
  });

  test('must be so before any list has passed: the server is asked for one, with the envelope of the call', () => {
    const { world, run, sent } = exchangesWorld();
    const [bad, good] = [run(query, wrong), run(query, right)];
    expect(sent()).toMatchObject([{ id: 1, method: 'tools/list', params: { _meta: envelope } }]);
    world.server().say(response(1, { resultType: 'complete', tools }));
    expect(bad.failures).toMatchObject([{ code: -32020 }]);
    expect([good.failures, sent()]).toMatchObject([[], [{ id: 2, method: 'tools/call' }]]);
    world.server().say(response(2, { resultType: 'complete', content: [] }));
    expect([good, bad].map(({ responses }) => responses.map(({ id }) => id))).toEqual([[2], []]);
  });

  test('of a client that goes meanwhile are not looked at, and its end is told once', async () => {
    const { world, exchanges, run, sent } = exchangesWorld();
    const [gone, ended] = [run(query, right), run(query, { ...right, caller: 'you' })];
    gone.leave();
    exchanges.endCaller('you');
    world.server().say(response(1, { tools }));
    world.server().say(response(2, { tools }));
    expect(sent().filter(({ method }) => method === 'tools/call')).toEqual([]);
    expect([gone.ends, gone.failures, reasonsOf(ended)]).toEqual([1, [], ['credential_ended']]);
    await exchanges.close();
  });
});

describe('a policy', () => {
  const policy = createPolicy({ readOnly: true, denyTools: ['hidden'] });
  const tools = [
    { name: 'look', annotations: { readOnlyHint: true } },
    { name: 'touch' },
    { name: 'hidden', annotations: { readOnlyHint: true } },
  ];
  const list = request('l', 'tools/list', { _meta: envelope });

  test('hides what is not allowed, and keeps the rest of the result', () => {
    const { world, run } = exchangesWorld();
    const a = run(list, { policy });
    world.server().say(response(1, { resultType: 'complete', ttlMs: 5, tools }));
    expect(a.responses.map(({ json }) => json)).toEqual([
      { jsonrpc: '2.0', id: 'l', result: { resultType: 'complete', ttlMs: 5, tools: [tools[0]] } },
    ]);
  });

  test('refuses a call, and asks for the tools with the envelope of the call that needs them, once', () => {
    const { world, run, sent } = exchangesWorld();
    expect(run(call(1, 'hidden'), { policy }).failures).toEqual([]);
    const [look, touch] = [run(call(2, 'look'), { policy }), run(call(2, 'touch'), { policy })];
    const [asked, ...more] = sent();
    expect(asked).toMatchObject({ method: 'tools/list', params: { _meta: envelope } });
    expect([asked?.params['_meta'], more]).toEqual([envelope, []]);
    world.server().say(response(asked?.id ?? 0, { tools, nextCursor: 'c' }));
    const [page] = sent();
    expect(page).toMatchObject({ method: 'tools/list', params: { cursor: 'c', _meta: envelope } });
    world.server().say(response(page?.id ?? 0, { tools: [] }));
    const [forwarded] = sent();
    expect(forwarded).toMatchObject({ method: 'tools/call', params: { name: 'look' } });
    world.server().say(response(forwarded?.id ?? 0));
    expect(look.responses.length).toBe(1);
    run(call(3, 'look'), { policy });
    expect(sent()).toMatchObject([{ method: 'tools/call' }]);
    world.clock.advance(60_000);
    run(call(4, 'look'), { policy });
    expect(sent()).toMatchObject([{ method: 'tools/list' }]);
    expect(touch.got).toEqual([]);
  });

  test('gives a refusal to the client whose call it was', async () => {
    const { run } = exchangesWorld();
    const refused = run(call(5, 'hidden'), { policy });
    await answered();
    expect(refused.responses.map(({ id, json }) => [id, json['error']])).toMatchObject([[5, { code: -32602 }]]);
  });

  test('ends what it keeps of a caller who sends nothing, and begins anew with another policy', () => {
    const { world, run, sent } = exchangesWorld({ idleTimeoutMs: 120_000 });
    run(call(1, 'look'), { policy });
    const [asked] = sent();
    world.server().say(response(asked?.id ?? 0, { tools }));
    world.server().say(response(sent()[0]?.id ?? 0));
    expect(world.clock.pending).toBe(1);
    world.clock.advance(120_000);
    expect(world.clock.pending).toBe(0);
    run(call(1, 'look'), { policy });
    expect(sent()).toMatchObject([{ method: 'tools/list' }]);
    run(call(1, 'look'), { policy: createPolicy({ readOnly: true }) });
    expect(sent()).toMatchObject([{ method: 'tools/list' }]);
    expect(world.server().closeCalls).toBe(0);
  });
});

describe('approvals', () => {
  test('are asked for in the name of the client that calls, and withdrawn when it goes', async () => {
    const asked: unknown[] = [];
    const signals: AbortSignal[] = [];
    const { run, sent, world } = exchangesWorld({
      approvals: {
        rule: { decide: ({ method }) => (method === 'tools/call' ? 'needed' : 'unneeded') },
        ask(toApprove, signal) {
          asked.push(toApprove);
          signals.push(signal);
          return signals.length === 1 ? new Promise(() => {}) : Promise.resolve(undefined);
        },
      },
    });
    const a = run(call(1, 'rm'));
    expect(asked).toMatchObject([
      { tool: 'rm', caller: 'me!', client: '1.2.3.4', clientInfo: { name: 'client', version: '3' } },
    ]);
    a.leave();
    expect([signals[0]?.aborted, a.ends]).toEqual([true, 1]);
    const b = run(call(1, 'rm'));
    await answered();
    const forwarded = sent().find(({ method }) => method === 'tools/call');
    world.server().say(response(forwarded?.id ?? 0));
    expect([forwarded?.params['name'], b.responses.length]).toEqual(['rm', 1]);
  });
});

describe('the rest', () => {
  test('notifications pass once there is a server, but for those of a request', () => {
    const { world, exchanges, run, sent } = exchangesWorld();
    const me = { id: 'me', label: 'me' };
    exchanges.notify(me, notification('notifications/x'));
    expect(world.servers).toEqual([]);
    run(call());
    sent();
    exchanges.notify(me, notification('notifications/cancelled', { requestId: 1 }));
    exchanges.notify(me, notification('notifications/x'));
    expect(sent()).toMatchObject([{ method: 'notifications/x' }]);
  });

  test('the capabilities of the server are known from what it tells a client', () => {
    const { world, exchanges, run } = exchangesWorld();
    expect(exchanges.capabilities?.()).toBeUndefined();
    run(request(1, 'server/discover', { _meta: envelope }));
    world.server().say(response(1, { capabilities: { tools: {} } }));
    expect(exchanges.capabilities?.()).toEqual({ tools: {} });
  });

  test('the capabilities of the server are known from what it has told before', () => {
    const introduction = response(1, { capabilities: { prompts: {} } });
    expect(exchangesWorld({ introduction }).exchanges.capabilities?.()).toEqual({ prompts: {} });
  });

  test('a caller whose credential ends is told, and nobody else', () => {
    const { exchanges, run, sent } = exchangesWorld();
    const [a, b] = [run(call()), run(call(), { caller: 'you' })];
    sent();
    exchanges.endCaller('me');
    expect([reasonsOf(a), reasonsOf(b)]).toEqual([['credential_ended'], []]);
    expect(sent()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 1 } }]);
  });

  test('at the end everybody is told, also who comes later', async () => {
    const { exchanges, run } = exchangesWorld();
    const a = run(call());
    await exchanges.close();
    expect([reasonsOf(a), reasonsOf(run(call()))]).toEqual([['shutting_down'], ['shutting_down']]);
  });
});

test('what the server asks is refused, and no client gets it', () => {
  const { world, run, sent } = exchangesWorld();
  const a = run(call());
  sent();
  world.server().say(message({ id: 'q', method: 'elicitation/create', params: {} }));
  expect([a.got, sent()]).toMatchObject([[], [{ id: 'q', error: { code: -32601 } }]]);
});
