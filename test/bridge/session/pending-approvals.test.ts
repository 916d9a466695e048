import { describe, expect, test } from 'vitest';
import type { ApprovalRefusal, Approvals, CallToApprove } from '../../../src/bridge/session/pending-approvals.ts';
import { parseMessage, type RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { ApprovalRule } from '../../../src/policy/approval-rule.ts';
import type { PolicyRules } from '../../../src/policy/policy.ts';
import { notification, request } from '../messages.ts';
import { inShort, world, type World } from './restricted-world.ts';

interface Question {
  readonly call: CallToApprove;
  readonly signal: AbortSignal;
  readonly decide: (refusal?: ApprovalRefusal) => void;
}

interface AskedWorld extends World {
  readonly questions: Question[];
}

function asking(approve: readonly string[], rules: PolicyRules = {}): AskedWorld {
  const questions: Question[] = [];
  const approvals: Approvals = {
    rule: new ApprovalRule(approve),
    ask: (call, signal) => new Promise((decide) => questions.push({ call, signal, decide })),
  };
  return { ...world(rules, approvals), questions };
}

/** Everything that follows from a decision has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const refusal = { reason: 'not_approved', why: '' };

function read(text: string): RpcMessage {
  const message = parseMessage(Buffer.from(text));
  if (message.kind === 'fault') throw new Error(message.reason);
  return message;
}

describe('a call that needs approval', () => {
  test('waits, and goes to the server as it came when it is approved', async () => {
    const { upstream, questions, got, sent, server } = asking(['rm']);
    const call = request(1, 'tools/call', { name: 'rm', arguments: { path: '/a' } });
    expect(upstream.send(call)).toBe(true);
    upstream.send(request(2, 'tools/call', { name: 'ls' }));
    await settled();
    expect(sent().map(({ id }) => id)).toEqual([2]);
    expect(questions.map(({ call: { tool, argumentsText } }) => [tool, argumentsText?.toString()])).toEqual([
      ['rm', '{"path":"/a"}'],
    ]);
    questions[0]?.decide();
    await settled();
    expect(upstream.withdrawalOf?.(1)).toBeUndefined();
    expect(server.sent[1]).toBe(call.bytes.toString());
    expect(got).toEqual([]);
  });

  test('gets an error when it is refused, and the server never sees it', async () => {
    const { call, questions, got, sent } = asking(['rm']);
    call('a', 'rm');
    call('b', 'rm');
    questions[0]?.decide(refusal);
    questions[1]?.decide({ reason: 'approval_timed_out', why: 'since nobody answered' });
    await settled();
    expect(got.map(inShort)).toEqual([
      { id: 'a', code: -32602, message: 'tool not approved: rm', data: { reason: 'not_approved', tool: 'rm' } },
      {
        id: 'b',
        code: -32602,
        message: 'tool not approved: rm, since nobody answered',
        data: { reason: 'approval_timed_out', tool: 'rm' },
      },
    ]);
    expect(sent()).toEqual([]);
  });

  test('is refused at once if it has more than 64 KiB, also of something else than arguments', async () => {
    const { upstream, questions, got, sent } = asking(['rm']);
    const text = 'x'.repeat(64 * 1024);
    upstream.send(request(1, 'tools/call', { name: 'rm', arguments: { text } }));
    upstream.send(request(2, 'tools/call', { name: 'rm', _meta: { text } }));
    upstream.send(request(3, 'tools/call', { name: 'rm', arguments: { text: text.slice(200) } }));
    await settled();
    const message = 'tool not approved: rm, since the request has more than 64 KiB';
    const data = { reason: 'too_large_to_approve', tool: 'rm' };
    expect(got.map(inShort)).toEqual([
      { id: 1, code: -32602, message, data },
      { id: 2, code: -32602, message, data },
    ]);
    expect(questions).toHaveLength(1);
    expect(sent()).toEqual([]);
  });

  test('is withdrawn by its cancellation, which the server does not see either', async () => {
    const { call, upstream, questions, got, sent } = asking(['rm']);
    call(1, 'rm');
    upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    expect(questions[0]?.signal.aborted).toBe(true);
    questions[0]?.decide();
    await settled();
    expect([...got, ...sent()]).toEqual([]);
  });

  test('is not decided by the answer to an earlier one with its id', async () => {
    const { call, upstream, questions, got, sent } = asking(['rm']);
    call(1, 'rm');
    upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    call(1, 'rm');
    questions[0]?.decide();
    await settled();
    expect(sent()).toEqual([]);
    questions[1]?.decide(refusal);
    await settled();
    expect(got).toHaveLength(1);
  });

  test('is withdrawn when its client has gone for good', async () => {
    const { upstream, questions, got, sent } = asking(['rm']);
    upstream.send(request(1, 'tools/call', { name: 'rm' }));
    expect(upstream.withdrawalOf?.(2)).toBeUndefined();
    upstream.withdrawalOf?.(1)?.();
    expect(questions[0]?.signal.aborted).toBe(true);
    questions[0]?.decide();
    await settled();
    expect(got.map(inShort)).toMatchObject([{ id: 1, data: { reason: 'client_gone' } }]);
    expect(sent()).toEqual([]);
  });

  test('is judged again when it is approved: the server may say something else of its tools by then', async () => {
    const { call, questions, got, sent, list, server } = asking(['all'], { readOnly: true });
    call(1, 'look');
    call(2, 'look');
    list([{ name: 'look', annotations: { readOnlyHint: true } }]);
    expect(questions).toHaveLength(2);
    server.say(notification('notifications/tools/list_changed'));
    questions[0]?.decide();
    await settled();
    // It waits for the new list.
    expect(sent().map(({ method }) => method)).toEqual(['tools/list', 'tools/list']);
    list([{ name: 'look' }]);
    questions[1]?.decide();
    await settled();
    expect(sent().map(({ method }) => method)).toEqual(['tools/list', 'tools/list']);
    const denied = { code: -32602, data: { reason: 'not_read_only', tool: 'look' } };
    expect(got.map(inShort).slice(1)).toMatchObject([
      { id: 1, ...denied },
      { id: 2, ...denied },
    ]);
    expect(questions).toHaveLength(2);
  });

  test('that waits for the new list is not asked about twice', async () => {
    const { call, questions, got, sent, list, server } = asking(['all'], { readOnly: true });
    const listed = [{ name: 'look', annotations: { readOnlyHint: true } }];
    call(1, 'look');
    list(listed);
    server.say(notification('notifications/tools/list_changed'));
    questions[0]?.decide();
    await settled();
    list(listed);
    await settled();
    expect(sent().at(-1)).toMatchObject({ id: 1, method: 'tools/call' });
    expect(questions).toHaveLength(1);
    expect(got).toHaveLength(1);
  });

  test('is withdrawn when the session ends', async () => {
    const { call, upstream, questions, sent } = asking(['rm']);
    call(1, 'rm');
    await upstream.close();
    expect(questions[0]?.signal.aborted).toBe(true);
    questions[0]?.decide();
    await settled();
    expect(sent()).toEqual([]);
  });

  test('outlives a restart of the server, which gets it when it is approved', async () => {
    const { call, server, questions, losses, sent } = asking(['rm']);
    call(1, 'rm');
    server.lose({ untaken: [] });
    expect(losses.map(({ untaken }) => untaken?.map((message) => message.kind === 'request' && message.id))).toEqual([
      [1],
    ]);
    questions[0]?.decide();
    await settled();
    expect(sent().map(({ id }) => id)).toEqual([1]);
  });

  test('fails when the server does not take it', async () => {
    const { call, server, questions, got } = asking(['rm']);
    call(1, 'rm');
    server.accepting = false;
    questions[0]?.decide();
    await settled();
    expect(got.map(inShort)).toMatchObject([{ id: 1, data: { reason: 'upstream_not_reading' } }]);
  });

  test('is dropped without an id: nobody could be told', async () => {
    const { upstream, questions, sent } = asking(['rm']);
    upstream.send(notification('tools/call', { name: 'rm' }));
    await settled();
    expect([...questions, ...sent()]).toEqual([]);
  });

  test('does not show more than 200 characters of its name', () => {
    const { call, questions } = asking(['*']);
    call(1, 'x'.repeat(3000));
    expect(questions[0]?.call.tool).toBe('x'.repeat(200));
  });

  test('shows long arguments, which are not read otherwise', () => {
    const { upstream, questions } = asking(['rm']);
    const given = JSON.stringify({ content: 'x'.repeat(40_000) });
    upstream.send(read(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":${given}}}`));
    expect(questions[0]?.call.argumentsText?.toString() === given).toBe(true);
  });
});

describe('progress', () => {
  const call = request(1, 'tools/call', { name: 'rm', _meta: { progressToken: 'p' } });

  test('is reported while a call waits, and increases by less than a server would', () => {
    const { upstream, clock, got } = asking(['rm']);
    upstream.send(call);
    expect(got).toEqual([]);
    clock.advance(25_000);
    expect(got.map(inShort)).toEqual(Array(3).fill('notifications/progress'));
    expect(got.map(({ json }) => json['params'])).toEqual(
      [0.000001, 0.000002, 0.000003].map((progress) => ({
        progressToken: 'p',
        progress,
        message: 'waiting for approval',
      })),
    );
  });

  test.each(['approved', 'refused', 'cancelled', 'ended'] as const)('ends when the call is %s', async (end) => {
    const { upstream, clock, got, questions } = asking(['rm']);
    upstream.send(call);
    clock.advance(0);
    if (end === 'approved') questions[0]?.decide();
    if (end === 'refused') questions[0]?.decide(refusal);
    if (end === 'cancelled') upstream.send(notification('notifications/cancelled', { requestId: 1 }));
    if (end === 'ended') await upstream.close();
    await settled();
    clock.advance(60_000);
    expect(got.filter(({ kind }) => kind === 'notification')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test('is not reported to a client that did not ask for it', () => {
    const { call: callTool, clock, got } = asking(['rm']);
    callTool(1, 'rm');
    clock.advance(60_000);
    expect(got).toEqual([]);
  });
});

describe('destructive', () => {
  const tools = [
    { name: 'read', annotations: { readOnlyHint: true } },
    { name: 'append', annotations: { destructiveHint: false } },
    { name: 'rm', annotations: { destructiveHint: true } },
    { name: 'silent' },
    { name: 'twice', annotations: { readOnlyHint: true } },
    { name: 'twice' },
  ];

  test('the server is asked what its tools are, and then the owner about those that may do harm', async () => {
    const { call, list, questions, sent } = asking(['destructive']);
    for (const [id, name] of ['read', 'append', 'rm', 'silent', 'twice', 'unknown'].entries()) call(id, name);
    expect(sent().map(({ method }) => method)).toEqual(['tools/list']);
    list(tools);
    await settled();
    expect(sent().flatMap(({ params }) => params?.['name'] ?? [])).toEqual(['read', 'append']);
    expect(questions.map(({ call: { tool } }) => tool)).toEqual(['rm', 'silent', 'twice', 'unknown']);
  });

  test('all, if the server does not list its tools', async () => {
    const { call, clock, questions, sent } = asking(['destructive']);
    call(1, 'read');
    clock.advance(10_000);
    await settled();
    expect(questions.map(({ call: { tool } }) => tool)).toEqual(['read']);
    expect(sent().some(({ method }) => method === 'tools/call')).toBe(false);
  });

  test('a call whose client goes while the server is asked is withdrawn', async () => {
    const { upstream, list, questions, sent } = asking(['destructive']);
    upstream.send(request(1, 'tools/call', { name: 'read' }));
    upstream.withdrawalOf?.(1)?.();
    list(tools);
    await settled();
    expect(questions).toEqual([]);
    expect(sent().some(({ method }) => method === 'tools/call')).toBe(false);
  });
});

describe('with a policy', () => {
  test('nobody is asked about what is denied', async () => {
    const { call, questions, got, sent } = asking(['all'], { denyTools: ['rm'] });
    call(1, 'rm');
    call(2, 'ls');
    await settled();
    expect(questions.map(({ call: { tool } }) => tool)).toEqual(['ls']);
    expect(got.map(inShort)).toMatchObject([{ id: 1, data: { reason: 'not_allowed' } }]);
    expect(sent()).toEqual([]);
  });

  test('the server is asked once for both', async () => {
    const { call, list, questions, got, sent } = asking(['destructive', 'look'], { readOnly: true });
    call(1, 'look');
    call(2, 'rm');
    list([{ name: 'look', annotations: { readOnlyHint: true } }, { name: 'rm' }]);
    await settled();
    expect(questions.map(({ call: { tool } }) => tool)).toEqual(['look']);
    expect(got.map(inShort)).toMatchObject([{ id: 2, data: { reason: 'not_read_only' } }]);
    expect(sent()).toHaveLength(1);
  });
});

describe('nobody is asked about what the server may read differently', () => {
  test.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{"path":"/tmp","path":"/"}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{"a":[{"b":1,"\\u0062":2}]}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{},"Arguments":{"path":"/"}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{},"arguments":{"path":"/"}}}',
  ])('%s', async (text) => {
    const { upstream, questions, got, sent } = asking(['rm']);
    upstream.send(read(text));
    await settled();
    expect(got.map(inShort)).toMatchObject([{ id: 1, code: -32600, data: { reason: 'ambiguous_request' } }]);
    expect([...questions, ...sent()]).toEqual([]);
  });

  test('but other calls may have any arguments', () => {
    const { upstream, sent } = asking(['rm']);
    upstream.send(
      read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls","arguments":{"a":1,"a":2}}}'),
    );
    expect(sent()).toHaveLength(1);
  });
});
