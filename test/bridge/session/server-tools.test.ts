import { describe, expect, test } from 'vitest';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { failedResponse, notification, request, response } from '../messages.ts';
import { inShort, settled, world, type World } from './restricted-world.ts';

const read = { name: 'read', annotations: { readOnlyHint: true } };
const write = { name: 'write', annotations: { readOnlyHint: false } };
const notReadOnly = (id: RequestId, tool: string): object => ({
  id,
  code: -32602,
  message: `tool not allowed: ${tool}, since the server does not mark it as read-only`,
  data: { reason: 'not_read_only', tool },
});
const notListed = (id: RequestId, tool: string): object => ({
  id,
  code: -32602,
  message: `tool not allowed: ${tool}, since the server did not list its tools`,
  data: { reason: 'tools_not_listed', tool },
});

describe('read-only', () => {
  test('the server is asked before a call is decided, and its answer is not for the client', async () => {
    const { call, list, got, sent } = world({ readOnly: true });
    expect(call(1, 'read')).toBe(true);
    expect(call(2, 'write')).toBe(true);
    expect(call(3, 'unknown')).toBe(true);
    expect(sent()).toMatchObject([{ method: 'tools/list', params: {} }]);
    list([read, write]);
    await settled();
    expect(sent().slice(1)).toMatchObject([{ id: 1, params: { name: 'read' } }]);
    expect(got.map(inShort)).toEqual([notReadOnly(2, 'write'), notReadOnly(3, 'unknown')]);
  });

  test('once, as long as nothing changes', async () => {
    const { call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    list([read, write]);
    call(2, 'read');
    call(3, 'write');
    await settled();
    expect(sent().map(({ method }) => method)).toEqual(['tools/list', 'tools/call', 'tools/call']);
    expect(got.map(inShort)).toEqual([notReadOnly(3, 'write')]);
  });

  test('with an id that nobody can guess, and another one each time', () => {
    const ids = [world({ readOnly: true }), world({ readOnly: true })].map(({ call, sent, list }) => {
      call(1, 'read');
      list([], 'more');
      return sent().map(({ id }) => String(id));
    });
    expect(new Set(ids.flat()).size).toBe(4);
    for (const id of ids.flat()) expect(id).toMatch(/^mcp-expose-[\w-]{22}-\d$/);
  });

  test('reads all pages', async () => {
    const { call, list, sent, got } = world({ readOnly: true });
    call(1, 'read');
    list([write], 'next');
    expect(sent()).toHaveLength(2);
    expect(sent()[1]).toMatchObject({ method: 'tools/list', params: { cursor: 'next' } });
    list([read]);
    await settled();
    expect(got).toEqual([]);
    expect(sent()[2]).toMatchObject({ id: 1 });
  });

  test('is not asked about tools that are named without a wildcard, nor about those that are denied', async () => {
    const { call, sent, got } = world({ readOnly: true, allowTools: ['write', 'r*'], denyTools: ['rm'] });
    call(1, 'write');
    call(2, 'rm');
    await settled();
    expect(sent()).toMatchObject([{ id: 1, method: 'tools/call' }]);
    expect(got.map(inShort)).toMatchObject([{ id: 2, data: { reason: 'not_allowed' } }]);
  });

  test('a tool that comes twice is read-only if both are', async () => {
    const { call, list, got } = world({ readOnly: true });
    call(1, 'read');
    list([{ name: 'read' }, read]);
    await settled();
    expect(got.map(inShort)).toEqual([notReadOnly(1, 'read')]);
  });

  test('after list_changed the server is asked again, and a hint that flips counts', async () => {
    const { server, call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    list([read]);
    server.say(notification('notifications/tools/list_changed'));
    expect(sent()).toHaveLength(2);
    call(2, 'read');
    expect(sent()).toHaveLength(3);
    list([{ name: 'read' }]);
    await settled();
    expect(got.map(inShort)).toEqual(['notifications/tools/list_changed', notReadOnly(2, 'read')]);
  });

  test('a list that changes while it is read is read from the start', async () => {
    const { server, call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    list([read], 'next');
    const old = sent().at(-1)?.id ?? '';
    server.say(notification('notifications/tools/list_changed'));
    expect(sent().at(-1)).toMatchObject({ method: 'tools/list', params: {} });
    server.say(response(old, { tools: [read] }));
    list([write]);
    await settled();
    expect(got.map(inShort)).toEqual(['notifications/tools/list_changed', notReadOnly(1, 'read')]);
  });

  test('a server that is silent for 10 s is not asked further, and the call is refused', async () => {
    const { clock, call, got, sent } = world({ readOnly: true });
    call(1, 'read');
    clock.advance(9999);
    await settled();
    expect(got).toEqual([]);
    clock.advance(1);
    await settled();
    expect(got.map(inShort)).toEqual([notListed(1, 'read')]);
    const [asked, cancelled] = sent();
    expect(cancelled).toMatchObject({ method: 'notifications/cancelled', params: { requestId: asked?.id } });
    expect(clock.pending).toBe(0);
  });

  test('is asked anew by the next call after a failure', async () => {
    const { server, call, got, sent, list } = world({ readOnly: true });
    call(1, 'read');
    server.say(failedResponse(sent()[0]?.id ?? ''));
    await settled();
    expect(got.map(inShort)).toEqual([notListed(1, 'read')]);
    call(2, 'read');
    list([read]);
    expect(sent().at(-1)).toMatchObject({ id: 2 });
  });

  test('a late answer does not reach the client', async () => {
    const { clock, call, got, list } = world({ readOnly: true });
    call(1, 'read');
    clock.advance(10_000);
    list([read]);
    await settled();
    expect(got.map(inShort)).toEqual([notListed(1, 'read')]);
  });

  test.each([
    ['more than 100 pages', (list: World['list']) => Array.from({ length: 100 }, () => list([read], 'more'))],
    [
      'more than 10 000 tools',
      (list: World['list']) => list(Array.from({ length: 10_001 }, (_, index) => ({ ...read, name: `read${index}` }))),
    ],
  ])('%s are not read', async (_what, answer) => {
    const { call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    answer(list);
    await settled();
    expect(got.map(inShort)).toEqual([notListed(1, 'read')]);
    expect(sent().length).toBeLessThanOrEqual(100);
  });

  test('a call that is cancelled while it waits is forgotten', async () => {
    const { upstream, call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    call(2, 'read');
    expect(upstream.send(notification('notifications/cancelled', { requestId: 1 }))).toBe(true);
    list([read]);
    await settled();
    expect(sent().slice(1)).toMatchObject([{ id: 2 }]);
    expect(got).toEqual([]);
  });

  test('responses to the server pass while a call waits: the server may need them first', () => {
    const { upstream, server, call, sent, got } = world({ readOnly: true });
    call(1, 'read');
    server.say(request('s', 'roots/list'));
    expect(got.map(inShort)).toEqual(['roots/list']);
    upstream.send(response('s', { roots: [] }));
    expect(sent().at(-1)).toMatchObject({ id: 's' });
  });

  test('a server that restarts is asked again', async () => {
    const { server, call, list, got, sent } = world({ readOnly: true });
    call(1, 'read');
    server.lose();
    list([read]);
    expect(sent().at(-1)).toMatchObject({ id: 1 });
    server.lose();
    call(2, 'read');
    list([]);
    await settled();
    expect(got.map(inShort)).toEqual([notReadOnly(2, 'read')]);
  });

  test('a server that takes nothing is not waited for', async () => {
    const { server, call, got } = world({ readOnly: true });
    server.accepting = false;
    call(1, 'read');
    await settled();
    expect(got.map(inShort)).toEqual([notListed(1, 'read')]);
  });

  test('a server that takes nothing any more gets no call that has waited', async () => {
    const { server, call, list, got } = world({ readOnly: true });
    call(1, 'read');
    server.accepting = false;
    list([read]);
    await settled();
    expect(got.map(inShort)).toMatchObject([{ id: 1, data: { reason: 'upstream_not_reading' } }]);
  });

  test('calls of more than 16 MiB do not wait', () => {
    const { upstream, call } = world({ readOnly: true });
    const big = request(1, 'tools/call', { name: 'read', arguments: { text: 'x'.repeat(17 * 1024 * 1024) } });
    expect(upstream.send(big)).toBe(true);
    expect(call(2, 'read')).toBe(false);
    upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    expect(call(2, 'read')).toBe(true);
  });

  test('its end leaves no timer', async () => {
    const { upstream, clock, call, got, ends } = world({ readOnly: true });
    call(1, 'read');
    expect(clock.pending).toBe(1);
    await upstream.close();
    expect(clock.pending).toBe(0);
    expect(ends).toHaveLength(1);
    expect(got).toEqual([]);
    expect(call(2, 'read')).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('nor does that of the server', () => {
    const { server, clock, call, ends } = world({ readOnly: true });
    call(1, 'read');
    server.die();
    expect(clock.pending).toBe(0);
    expect(ends).toHaveLength(1);
  });
});
