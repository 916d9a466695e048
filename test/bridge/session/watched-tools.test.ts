import { describe, expect, test } from 'vitest';
import { watchTools, type ToolsChange } from '../../../src/bridge/session/watched-tools.ts';
import type { Upstream } from '../../../src/bridge/upstream/upstream.ts';
import type { RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { createPolicy, type PolicyRules } from '../../../src/policy/policy.ts';
import { createFakeUpstream, type FakeUpstream } from '../fake-upstream.ts';
import { failedResponse, request, response } from '../messages.ts';

interface World {
  readonly server: FakeUpstream;
  readonly upstream: Upstream;
  readonly changes: ToolsChange[];
  readonly got: RpcMessage[];
  /** Reads a page of the list. */
  readonly list: (tools: readonly object[], pages?: { cursor?: string; nextCursor?: string }) => void;
}

function world(rules: PolicyRules = { denyTools: ['x'] }): World {
  const server = createFakeUpstream();
  const changes: ToolsChange[] = [];
  const got: RpcMessage[] = [];
  const upstream = watchTools(server, { policy: createPolicy(rules), approvals: undefined }, (change) =>
    changes.push(change),
  );
  upstream.start({ onMessage: (message) => got.push(message), onClose() {} });
  let id = 0;
  return {
    server,
    upstream,
    changes,
    got,
    list(tools, { cursor, nextCursor } = {}) {
      upstream.send(request(++id, 'tools/list', { ...(cursor !== undefined && { cursor }) }));
      server.say(response(id, { tools, ...(nextCursor !== undefined && { nextCursor }) }));
    },
  };
}

const tool = (name: string, more: object = {}): object => ({ name, inputSchema: { type: 'object' }, ...more });

describe('a list that is read again', () => {
  test('is reported with what was added, removed and changed', () => {
    const { changes, list, got } = world();
    list([tool('a'), tool('b'), tool('c'), tool('d')]);
    list([tool('d'), tool('c'), tool('b'), tool('a')]);
    expect(changes).toEqual([]);
    list([
      tool('a', { description: 'send it to me' }),
      tool('b', { annotations: { readOnlyHint: true } }),
      tool('d', { outputSchema: { type: 'object' } }),
      tool('e'),
    ]);
    expect(changes).toEqual([{ added: ['e'], removed: ['c'], changed: ['a', 'b', 'd'] }]);
    expect(got).toHaveLength(3);
  });

  test('has all its pages, also if two readers read it at the same time', () => {
    const { changes, list, server, upstream } = world();
    list([tool('a')], { nextCursor: 'second' });
    list([tool('a')], { nextCursor: 'second' });
    list([tool('b')], { cursor: 'second' });
    list([tool('b')], { cursor: 'second' });
    expect(changes).toEqual([]);
    for (const id of ['one', 'two']) upstream.send(request(id, 'tools/list'));
    for (const id of ['two', 'one']) server.say(response(id, { tools: [tool('a')] }));
    expect(changes).toEqual([{ added: [], removed: ['b'], changed: [] }]);
  });

  test('is read as it was sent, with long texts in a large message', () => {
    const { changes, list } = world();
    const description = 'x'.repeat(20_000);
    list([tool('a', { description }), tool('b', { description })]);
    list([tool('a', { description }), tool('b', { description: `${description}; send it to me` })]);
    expect(changes).toEqual([{ added: [], removed: [], changed: ['b'] }]);
  });

  test('is not known if it was an error, or is nonsense', () => {
    const { changes, list, server, upstream } = world();
    list([tool('a')]);
    upstream.send(request('x', 'tools/list'));
    server.say(failedResponse('x'));
    upstream.send(request('y', 'tools/list'));
    server.say(response('y', { tools: 'none' }));
    server.say(response('z', { tools: [] }));
    list([tool('b')], { cursor: 'never seen' });
    expect(changes).toEqual([]);
    list([]);
    expect(changes).toEqual([{ added: [], removed: ['a'], changed: [] }]);
  });

  test('with very many changes is reported in short', () => {
    const { changes, list } = world();
    list([]);
    list(Array.from({ length: 1000 }, (_, at) => tool(`${at}${'n'.repeat(1000)}`)));
    expect(changes[0]?.added).toHaveLength(20);
    expect(Math.max(...(changes[0]?.added ?? []).map((name) => name.length))).toBe(200);
  });
});

test('lists that nobody reads to the end are forgotten', () => {
  const { changes, list, upstream } = world();
  list([tool('a')]);
  for (let at = 0; at < 100; at++) {
    list([tool('b')], { nextCursor: `page ${at}` });
    upstream.send(request(`unanswered ${at}`, 'tools/list'));
  }
  list([], { cursor: 'page 0' });
  expect(changes).toEqual([]);
  list([], { cursor: 'page 99' });
  expect(changes).toEqual([{ added: ['b'], removed: ['a'], changed: [] }]);
});

test.each<[boolean, PolicyRules, object | undefined]>([
  [true, { readOnly: true }, undefined],
  [true, { allowTools: ['*'] }, undefined],
  [true, {}, {}],
  [false, { denyResources: ['file:*'] }, undefined],
  [false, {}, undefined],
])('tools are watched (%s) with the rules %o and approvals %o', (isWatched, rules, approvals) => {
  const server = createFakeUpstream();
  const policy = createPolicy(rules);
  expect(watchTools(server, { policy, approvals }, () => {}) !== server).toBe(isWatched);
  expect(watchTools(server, { policy, approvals }, undefined)).toBe(server);
});
