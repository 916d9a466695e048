import { describe, expect, test } from 'vitest';
import { failedResponse, notification, request, response } from '../messages.ts';
import { methodsOf } from '../session/fake-sink.ts';
import { acknowledge, metaKey, newWorld, onSubscription, openWorld, outcomeOf } from './legacy-world.ts';

describe('the handshake of a legacy client', () => {
  test('is answered from server/discover, and what the client says is put into each request', () => {
    const world = newWorld();
    const opening = world.call(0, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: { roots: { listChanged: true }, tasks: {}, x: 1 },
      clientInfo: { name: 'c', version: '1' },
    });
    const envelope = {
      [metaKey('protocolVersion')]: '2026-07-28',
      [metaKey('clientCapabilities')]: { roots: { listChanged: true }, x: 1 },
      [metaKey('clientInfo')]: { name: 'c', version: '1' },
    };
    expect(world.toServer()).toEqual([
      { jsonrpc: '2.0', id: 0, method: 'server/discover', params: { _meta: envelope } },
    ]);
    world.say(
      response(0, {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        instructions: 'i',
        _meta: { [metaKey('serverInfo')]: { name: 's', version: '2' } },
      }),
    );
    expect(outcomeOf(opening)).toMatchObject([
      {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '2' },
        instructions: 'i',
      },
    ]);
    // A server whose lists do not change has nothing to tell.
    world.forward(notification('notifications/initialized'));
    expect(world.toServer()).toEqual([]);
    world.call(1, 'x/y', { a: 1, _meta: { progressToken: 5 } });
    expect(world.toServer()).toEqual([
      { jsonrpc: '2.0', id: 1, method: 'x/y', params: { a: 1, _meta: { progressToken: 5, ...envelope } } },
    ]);
  });

  test.each([
    [
      'a server of other revisions',
      response(0, { supportedVersions: ['2025-11-25'], capabilities: {} }),
      { code: -32603, data: { reason: 'unsupported_revision' } },
    ],
    [
      'a server that refuses the revision',
      failedResponse(0, { code: -32022, message: 'm', data: { supported: [] } }),
      { code: -32603, data: { supported: [], modernCode: -32022 } },
    ],
  ])('fails with %s', (_what, answer, error) => {
    const world = newWorld();
    const opening = world.call(0, 'initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: {} });
    world.say(answer);
    expect(outcomeOf(opening)).toMatchObject([error]);
  });
});

describe('calls', () => {
  test('a result loses what the client does not know, and an error gets a code that it knows', async () => {
    const world = await openWorld();
    const [fine, failed, late] = [world.call(1), world.call(2, 'x/y'), world.call(3)];
    world.say(response(2, { resultType: 'complete', ttlMs: 1, y: 1 }));
    world.say(failedResponse(1, { code: -32021, message: 'm', data: { requiredCapabilities: { roots: {} } } }));
    world.say(response(3, { resultType: 'task', taskId: 't' }));
    expect(outcomeOf(failed)).toEqual([{ y: 1 }]);
    expect(outcomeOf(fine)).toEqual([
      { code: -32603, message: 'm', data: { requiredCapabilities: { roots: {} }, modernCode: -32021 } },
    ]);
    expect(outcomeOf(late)).toMatchObject([{ code: -32603, data: { reason: 'unknown_result_type' } }]);
  });

  test.each(['tasks/get', 'tasks/result', 'tasks/list', 'tasks/update', 'tasks/cancel'])(
    '%s is not known to a client that is told of no task',
    async (method) => {
      const world = await openWorld();
      world.toServer();
      const call = world.call(1, method, { taskId: 't' });
      await Promise.resolve();
      expect(outcomeOf(call)).toMatchObject([{ code: -32601 }]);
      expect(world.toServer()).toEqual([]);
    },
  );

  test('output that is no object is wrapped as its schema was', async () => {
    const world = await openWorld();
    const list = world.call(1, 'tools/list', {});
    world.say(response(1, { tools: [{ name: 'union', outputSchema: { anyOf: [] } }, { name: 'plain' }] }));
    expect(outcomeOf(list)).toMatchObject([{ tools: [{ outputSchema: { type: 'object' } }, { name: 'plain' }] }]);
    const [union, plain] = [
      world.call(2, 'tools/call', { name: 'union' }),
      world.call(3, 'tools/call', { name: 'plain' }),
    ];
    for (const id of [2, 3]) world.say(response(id, { content: [], structuredContent: { a: 1 } }));
    expect(outcomeOf(union)).toEqual([{ content: [], structuredContent: { result: { a: 1 } } }]);
    expect(outcomeOf(plain)).toEqual([{ content: [], structuredContent: { a: 1 } }]);
  });

  test('progress and logs reach their calls', async () => {
    const world = await openWorld();
    const call = world.call(1, 'tools/call', { name: 't', _meta: { progressToken: 'p' } });
    const other = world.call(2);
    world.say(notification('notifications/progress', { progressToken: 'p', progress: 1 }));
    world.say(notification('notifications/message', { level: 'info', data: 'd' }), 1);
    expect(methodsOf(call)).toEqual(['notifications/progress', 'notifications/message']);
    expect(methodsOf(other)).toEqual([]);
  });

  test('cancellation reaches the server', async () => {
    const world = await openWorld();
    world.call(1);
    world.toServer();
    world.forward(notification('notifications/cancelled', { requestId: 1, reason: 'r' }));
    expect(world.toServer()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: 1, reason: 'r' } },
    ]);
    // Nothing more is known of it.
    world.say(response(1, { resultType: 'complete' }));
    world.forward(notification('notifications/cancelled', { requestId: 1 }));
    expect(world.toServer()).toEqual([]);
  });

  test('a call that the server does not take fails', async () => {
    const world = await openWorld();
    world.server.accepting = false;
    expect(outcomeOf(world.call(1))).toMatchObject([{ code: -32603 }]);
  });
});

describe('what only the legacy era has', () => {
  test('is answered here', async () => {
    const world = await openWorld();
    const [ping, level, wrong] = [
      world.call(1, 'ping', {}),
      world.call(2, 'logging/setLevel', { level: 'info' }),
      world.call(3, 'logging/setLevel', { level: 'loud' }),
    ];
    await Promise.resolve();
    expect([ping, level, wrong].map(outcomeOf)).toMatchObject([[{}], [{}], [{ code: -32602 }]]);
    world.forward(notification('notifications/roots/list_changed'));
    world.forward(notification('notifications/progress', { progressToken: 1, progress: 1 }));
    expect(world.toServer()).toEqual([]);
    world.call(4);
    expect(world.toServer()).toMatchObject([{ params: { _meta: { [metaKey('logLevel')]: 'info' } } }]);
    world.forward(notification('notifications/x', { a: 1 }));
    expect(world.toServer()).toEqual([{ jsonrpc: '2.0', method: 'notifications/x', params: { a: 1 } }]);
  });

  test('is unknown where the server could not do it', async () => {
    const world = await openWorld({});
    const calls = ['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'].map((method, id) =>
      world.call(id + 1, method, { level: 'info', uri: 'a' }),
    );
    await Promise.resolve();
    for (const call of calls) expect(outcomeOf(call)).toMatchObject([{ code: -32601 }]);
  });

  test('a request of the server is refused', async () => {
    const world = await openWorld();
    world.say(request(7, 'roots/list'));
    expect(world.toServer()).toMatchObject([{ id: 7, error: { code: -32601 } }]);
    expect(world.warnings).toHaveLength(1);
  });
});

describe('changes', () => {
  test('reach the client without the mark of the subscription', async () => {
    const world = newWorld();
    world.call(0, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} });
    world.say(response(0, { supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true } } }));
    world.toServer();
    world.forward(notification('notifications/initialized'));
    const listen = acknowledge(world);
    expect(listen).toMatchObject({ params: { notifications: { toolsListChanged: true } } });
    expect(listen.params).toHaveProperty('_meta');
    world.say(onSubscription(listen, 'notifications/tools/list_changed'));
    world.say(onSubscription({ id: 'another' }, 'notifications/tools/list_changed'));
    expect(world.standalone.got.map(({ json }) => json)).toEqual([
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: {} } },
    ]);
  });

  test('of a resource are heard once the server has acknowledged it', async () => {
    const world = await openWorld();
    const call = world.call(1, 'resources/subscribe', { uri: 'file:///a' });
    await Promise.resolve();
    expect(outcomeOf(call)).toEqual([]);
    const first = acknowledge(world);
    await Promise.resolve();
    expect(first).toMatchObject({
      params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['file:///a'] } },
    });
    expect(outcomeOf(call)).toEqual([{}]);
    world.toServer();
    world.say(onSubscription(first, 'notifications/resources/updated', { uri: 'file:///a/b' }));
    expect(methodsOf(world.standalone)).toEqual(['notifications/resources/updated']);

    const end = world.call(2, 'resources/unsubscribe', { uri: 'file:///a' });
    const second = acknowledge(world);
    await Promise.resolve();
    expect(second.params?.['notifications']).not.toHaveProperty('resourceSubscriptions');
    expect(outcomeOf(end)).toEqual([{}]);
    expect(world.toServer()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: first.id } }]);
    const again = world.call(3, 'resources/unsubscribe', { uri: 'file:///a' });
    await Promise.resolve();
    expect(outcomeOf(again)).toEqual([{}]);
  });

  test('of a resource that the server does not accept are an error', async () => {
    const world = await openWorld();
    const call = world.call(1, 'resources/subscribe', { uri: 'file:///a' });
    acknowledge(world, { toolsListChanged: true, resourceSubscriptions: ['file:///b'] });
    await Promise.resolve();
    expect(outcomeOf(call)).toMatchObject([{ code: -32602, data: { uri: 'file:///a' } }]);
  });

  test('a subscription that the client has cancelled gets no answer', async () => {
    const world = await openWorld();
    const call = world.call(1, 'resources/subscribe', { uri: 'file:///a' });
    world.forward(notification('notifications/cancelled', { requestId: 1 }));
    acknowledge(world);
    await Promise.resolve();
    expect(outcomeOf(call)).toEqual([]);
    expect(world.toServer()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: expect.any(String) } },
    ]);
  });
});

test('a server that comes back is asked anew, and the client looks at its lists again', async () => {
  const world = await openWorld();
  const [lost, kept, subscribing] = [world.call(1), world.call(2), world.call(3, 'resources/subscribe', { uri: 'a' })];
  world.toServer();
  world.server.lose({ untaken: [request(2)] });
  expect(outcomeOf(lost)).toMatchObject([{ data: { reason: 'upstream_exited' } }]);
  world.clock.advance(250);
  acknowledge(world);
  await Promise.resolve();
  expect(outcomeOf(subscribing)).toEqual([{}]);
  world.say(response(2, { resultType: 'complete' }));
  expect(outcomeOf(kept)).toEqual([{}]);
  expect(methodsOf(world.standalone)).toEqual([
    'notifications/tools/list_changed',
    'notifications/resources/list_changed',
  ]);
});

test('pressure passes both ways, and an end too', async () => {
  const world = await openWorld();
  world.server.fill();
  expect(world.channel.isWritable()).toBe(false);
  const call = world.call(1);
  call.fast = false;
  world.say(notification('notifications/x'));
  expect(world.server.paused).toBe(true);
  call.drain();
  expect(world.server.paused).toBe(false);
  world.server.die();
  expect(outcomeOf(call)).toMatchObject([{ code: -32603 }]);
  expect(world.clock.pending).toBe(0);
});

test('nothing of a session that has ended goes on', async () => {
  const world = await openWorld();
  world.call(1, 'resources/subscribe', { uri: 'a' });
  await world.channel.close();
  expect(world.clock.pending).toBe(0);
  expect(world.server.closeCalls).toBe(1);
});
