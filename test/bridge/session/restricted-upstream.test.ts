import { describe, expect, test } from 'vitest';
import { restrict } from '../../../src/bridge/session/restricted-upstream.ts';
import { parseMessage, type RequestId, type RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { createFakeUpstream } from '../fake-upstream.ts';
import { failedResponse, notification, request, response } from '../messages.ts';
import { inShort, settled, world } from './restricted-world.ts';

test('an open policy changes nothing: it is the same upstream', () => {
  const server = createFakeUpstream();
  expect(restrict(server, { policy: createPolicy({}) })).toBe(server);
  expect(restrict(server, { policy: undefined })).toBe(server);
});

describe('a request that is not allowed', () => {
  test('gets an error, and the server never sees it', async () => {
    const { call, got, sent } = world({ denyTools: ['rm'] });
    expect(call(1, 'rm')).toBe(true);
    expect(got).toEqual([]);
    await settled();
    expect(got.map(inShort)).toEqual([
      { id: 1, code: -32602, message: 'tool not allowed: rm', data: { reason: 'not_allowed', tool: 'rm' } },
    ]);
    call('a', 'ls');
    expect(sent().map(({ id }) => id)).toEqual(['a']);
  });

  test('also for a resource and a prompt', async () => {
    const { upstream, got, sent } = world({ denyResources: ['x:*'], denyPrompts: ['p'] });
    upstream.send(request(1, 'resources/read', { uri: 'x:1' }));
    upstream.send(request(2, 'prompts/get', { name: 'p' }));
    await settled();
    expect(got.map(inShort)).toMatchObject([
      { id: 1, message: 'resource not allowed: x:1', data: { reason: 'not_allowed', resource: 'x:1' } },
      { id: 2, message: 'prompt not allowed: p', data: { reason: 'not_allowed', prompt: 'p' } },
    ]);
    expect(sent()).toEqual([]);
  });

  test('is dropped without an id: nobody waits for an answer', async () => {
    const { upstream, got, sent } = world({ denyTools: ['rm'] });
    expect(upstream.send(notification('tools/call', { name: 'rm' }))).toBe(true);
    await settled();
    expect(got).toEqual([]);
    expect(sent()).toEqual([]);
  });

  test('does not echo more than 200 characters of its name', async () => {
    const { call, got } = world({ allowTools: [] });
    call(1, 'x'.repeat(3000));
    await settled();
    expect(got[0]?.bytes.length).toBeLessThan(600);
  });

  test('is refused also with a name too long to be read', async () => {
    const { call, got, sent } = world({ denyTools: ['x'] });
    call(1, 'x'.repeat(70_000));
    await settled();
    expect(got.map(inShort)).toMatchObject([{ id: 1, message: 'tool not allowed: ' }]);
    expect(sent()).toEqual([]);
  });
});

describe('a message that servers may read differently is refused', () => {
  const secret = '{"name":"rm"}';
  test.each([
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","name":"ls"}}`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls","Name":"rm"}}`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls","n\\u0061me":"rm"}}`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${secret},"params":{"name":"ls"}}`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls"},"PARAMS":${secret}}`,
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls"},"param\u017f":${secret}}`,
    `{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":${secret}}`,
    `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"name":"a","Uri":"b"}}}`,
  ])('%s', async (text) => {
    const { upstream, got, sent } = world({ denyTools: ['rm'] });
    const message = parseMessage(Buffer.from(text));
    if (message.kind === 'fault') throw new Error(message.reason);
    expect(upstream.send(message)).toBe(true);
    await settled();
    expect(sent()).toEqual([]);
    expect(got.map(inShort)).toMatchObject([{ id: 1, code: -32600, data: { reason: 'ambiguous_request' } }]);
  });

  test('and dropped where it is no request', async () => {
    const { upstream, got, sent } = world({ denyTools: ['rm'] });
    const text = `{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call","params":${secret}}`;
    const message = parseMessage(Buffer.from(text));
    if (message.kind !== 'response') throw new Error('the test wrote no response');
    expect(upstream.send(message)).toBe(true);
    await settled();
    expect([...sent(), ...got]).toEqual([]);
  });

  test('but the arguments of a tool may have any members', () => {
    const { upstream, sent } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/call', { name: 'ls', arguments: { name: 'rm', Name: 'rm', uri: 1, URI: 2 } }));
    expect(sent()).toHaveLength(1);
  });
});

const bytesOf = (id: RequestId, result: string): RpcMessage => {
  const message = parseMessage(Buffer.from(`{"jsonrpc": "2.0","id":${id}, "result": ${result}}`));
  if (message.kind === 'fault') throw new Error(message.reason);
  return message;
};

const longTool = (name: string): object => ({ name, description: 'x'.repeat(40_000) });

describe('lists', () => {
  test('lose what is not allowed, and keep all other bytes', () => {
    const { upstream, server, got } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/list'));
    server.say(
      bytesOf(
        1,
        '{"x":1.0, "tools": [ {"name":"a", "max":18446744073709551615} , {"name":"rm"}, {"name" : "b"} ],"y":[]}',
      ),
    );
    expect(got.map(({ bytes }) => bytes.toString())).toEqual([
      '{"jsonrpc": "2.0","id":1, "result": {"x":1.0, "tools": [{"name":"a", "max":18446744073709551615},{"name" : "b"}],"y":[]}}',
    ]);
    expect(got[0]?.json).toEqual(parseJson(got[0]?.bytes.toString() ?? ''));
  });

  test('pass as they are where nothing is hidden', () => {
    const { upstream, server, got } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/list'));
    const list = bytesOf(1, '{"tools":[ {"name":"a"} ]}');
    server.say(list);
    expect(got[0]).toBe(list);
  });

  test('with long texts, which are not read, keep them', () => {
    const { upstream, server, got } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/list'));
    server.say(bytesOf(1, JSON.stringify({ tools: [longTool('a'), longTool('rm'), longTool('b')] })));
    expect(parseJson(got[0]?.bytes.toString() ?? '')).toMatchObject({
      result: { tools: [longTool('a'), longTool('b')] },
    });
  });

  test('of resources, templates and prompts too', () => {
    const { upstream, server, got } = world({ denyResources: ['x:*'], denyPrompts: ['p'] });
    upstream.send(request(1, 'resources/list'));
    upstream.send(request(2, 'resources/templates/list'));
    upstream.send(request(3, 'prompts/list'));
    server.say(response(3, { prompts: [{ name: 'p' }, { name: 'q' }] }));
    server.say(response(2, { resourceTemplates: [{ uriTemplate: 'x:{a}' }] }));
    server.say(response(1, { resources: [{ uri: 'y:1' }, { uri: 'x:1' }] }));
    expect(got.map(({ json }) => json['result'])).toEqual([
      { prompts: [{ name: 'q' }] },
      { resourceTemplates: [] },
      { resources: [{ uri: 'y:1' }] },
    ]);
  });

  test('results of other requests are not touched, also with the id of an earlier list', () => {
    const { upstream, server, got, call } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/list'));
    upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    call(1, 'ls');
    const answer = response(1, { tools: [{ name: 'rm' }] });
    server.say(answer);
    expect(got).toEqual([answer]);
  });

  test('nor those with the id of a list that was not taken', () => {
    const { upstream, server, got, call } = world({ denyTools: ['rm'] });
    server.accepting = false;
    expect(upstream.send(request(1, 'tools/list'))).toBe(false);
    server.accepting = true;
    call(1, 'ls');
    const answer = response(1, { tools: [{ name: 'rm' }] });
    server.say(answer);
    expect(got).toEqual([answer]);
  });

  test('are for this caller alone, whatever a cache may do with the whole list', () => {
    const { upstream, server, got } = world({ denyTools: ['rm'] });
    for (const id of [1, 2]) upstream.send(request(id, 'tools/list'));
    const cached = { ttlMs: 1000, cacheScope: 'public' };
    server.say(response(1, { tools: [{ name: 'ls' }], ...cached }));
    server.say(response(2, { tools: [{ name: 'rm' }], ...cached }));
    expect(got.map(({ json }) => json['result'])).toEqual([
      { tools: [{ name: 'ls' }], ...cached },
      { tools: [], ttlMs: 1000, cacheScope: 'private' },
    ]);
  });

  test('errors pass', () => {
    const { upstream, server, got } = world({ denyTools: ['rm'] });
    upstream.send(request(1, 'tools/list'));
    const failure = failedResponse(1);
    server.say(failure);
    expect(got[0]).toBe(failure);
  });

  test('are trimmed too when a restarted server answers them', () => {
    const { upstream, server, got, losses } = world({ denyTools: ['rm'] });
    const [first, second] = [request(1, 'tools/list'), request(2, 'tools/list')];
    upstream.send(first);
    upstream.send(second);
    server.lose({ untaken: [second] });
    expect(losses).toHaveLength(1);
    server.say(response(2, { tools: [{ name: 'rm' }] }));
    expect(got[0]?.json['result']).toEqual({ tools: [] });
  });
});

test('a subscription goes without the resources that are hidden', () => {
  const { upstream, sent, got } = world({ denyResources: ['x:*'] });
  const listen = (id: number, resourceSubscriptions: unknown): boolean =>
    upstream.send(
      request(id, 'subscriptions/listen', { notifications: { toolsListChanged: true, resourceSubscriptions } }),
    );
  listen(1, ['x:1', 'y:1']);
  listen(2, 'x:1');
  expect(sent().map(({ params }) => params?.['notifications'])).toEqual([
    { toolsListChanged: true, resourceSubscriptions: ['y:1'] },
    { toolsListChanged: true, resourceSubscriptions: [] },
  ]);
  expect(got).toEqual([]);
});

test('updates of a hidden resource do not reach the client', () => {
  const { server, got } = world({ denyResources: ['x:*'] });
  server.say(notification('notifications/resources/updated', { uri: 'x:1' }));
  server.say(notification('notifications/resources/updated', { uri: 'y:1' }));
  server.say(notification('notifications/message', { level: 'info', data: 'x:1' }));
  expect(got.map(({ json }) => json['params'])).toEqual([{ uri: 'y:1' }, { level: 'info', data: 'x:1' }]);
});

test('what is about the connection passes to the server and back', () => {
  const { server, upstream } = world({ denyTools: ['x'] });
  server.fill();
  expect(upstream.isWritable()).toBe(false);
  let written = 0;
  upstream.whenWritable(() => written++);
  server.drain();
  expect(written).toBe(1);
  upstream.pause();
  expect(server.paused).toBe(true);
  upstream.resume();
  expect(server.paused).toBe(false);
});
