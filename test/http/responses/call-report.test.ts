import { describe, expect, test } from 'vitest';
import { CallReport, type RequestBodies, type RequestReport } from '../../../src/http/responses/call-report.ts';
import { newError } from '../../../src/mcp/new-message.ts';
import { parseMessage, type RpcRequest, type RpcResponse } from '../../../src/mcp/json-rpc.ts';
import { failedResponse, request, response } from '../../bridge/messages.ts';

const caller = { id: 'anna#1', label: 'anna', address: '192.0.2.1' };

function reportOf(asked: RpcRequest, end: (call: CallReport) => void = () => {}): RequestReport {
  const reports: RequestReport[] = [];
  const call = new CallReport({ onRequest: (report) => reports.push(report) }, asked, caller);
  end(call);
  call.make();
  call.make();
  const [report, ...more] = reports;
  if (report === undefined || more.length > 0) throw new Error(`there are ${reports.length} reports`);
  return report;
}

const outcomeOf = (answer: RpcResponse): unknown[] => {
  const { outcome, code, reason } = reportOf(request(1), (call) => call.answered(answer));
  return [outcome, code, reason];
};

const outcomeOfTask = (method: string, result: object): unknown =>
  reportOf(request(1, method, { taskId: 't' }), (call) => call.answered(response(1, result))).outcome;

const denied = (reason: string): RpcResponse => newError({ id: 1, code: -32_602, message: 'no', data: { reason } });

const nameOf = (method: string, params: object): unknown[] => {
  const { tool, resource, prompt } = reportOf(request(1, method, params));
  return [tool, resource, prompt];
};

describe('the outcome', () => {
  test('of an answer', () => {
    expect(outcomeOf(response(1, { content: [] }))).toEqual(['ok', undefined, undefined]);
    expect(outcomeOf(response(1, { isError: false }))).toEqual(['ok', undefined, undefined]);
    const escaped = parseMessage(Buffer.from(String.raw`{"jsonrpc":"2.0","id":1,"result":{"is\u0045rror":true}}`));
    expect(escaped.kind === 'response' && outcomeOf(escaped)[0]).toBe('tool_error');
    expect(outcomeOf(response(1, { isError: true }))).toEqual(['tool_error', undefined, undefined]);
    expect(outcomeOf(response(1, { content: [{ isError: true, text: '"isError":true' }] }))).toEqual([
      'ok',
      undefined,
      undefined,
    ]);
    expect(outcomeOf(failedResponse(1, { code: -32_601, message: 'no' }))).toEqual(['error', -32_601, undefined]);
    expect(outcomeOf(failedResponse(1, { code: 'odd', message: 'no' }))).toEqual(['error', undefined, undefined]);
  });

  test('of an answer that asks for something first', () => {
    for (const inputRequests of [{}, { a: { method: 'roots/list', text: 'x'.repeat(100_000) } }]) {
      const asking = response(1, { resultType: 'input_required', inputRequests, requestState: 's' });
      expect(outcomeOf(asking)).toEqual(['input_required', undefined, undefined]);
    }
    expect(
      outcomeOf(response(1, { resultType: 'complete', structuredContent: { resultType: 'input_required' } }))[0],
    ).toBe('ok');
  });

  test('of a task is that of the call that it was made of', () => {
    expect(outcomeOfTask('tasks/get', { status: 'completed', result: { isError: true } })).toBe('tool_error');
    expect(outcomeOfTask('tasks/get', { status: 'completed', result: { isError: false } })).toBe('ok');
    expect(outcomeOfTask('tasks/get', { status: 'working' })).toBe('ok');
    expect(outcomeOfTask('tasks/result', { isError: true })).toBe('tool_error');
    expect(outcomeOfTask('tools/call', { result: { isError: true } })).toBe('ok');
  });

  test('of an answer that is too large to be parsed', () => {
    for (const isError of [true, false]) {
      const numbers = Array.from({ length: 40_000 }, (_, at) => at);
      expect(outcomeOf(response(1, { numbers, isError }))[0]).toBe(isError ? 'tool_error' : 'ok');
      const text = 'x'.repeat(100_000);
      expect(outcomeOf(response(1, { content: [{ type: 'text', text }], isError }))[0]).toBe(
        isError ? 'tool_error' : 'ok',
      );
    }
  });

  test('of what mcp-expose does not allow is denied, with the reason; of other errors, no text of the server is kept', () => {
    expect(outcomeOf(denied('not_allowed'))).toEqual(['denied', undefined, 'not_allowed']);
    expect(outcomeOf(denied('a secret of the server'))).toEqual(['error', -32_602, undefined]);
  });

  test('of a failure, of a refusal, and without any', () => {
    const failed = reportOf(request(1), (call) => call.failed({ code: -32_603 }, 7));
    expect(failed).toMatchObject({ outcome: 'error', code: -32_603, responseBytes: 7 });
    const refused = reportOf(request(1), (call) =>
      call.refused({ code: -32_000, data: { reason: 'token_exhausted' } }),
    );
    expect(refused).toMatchObject({ outcome: 'denied', reason: 'token_exhausted', responseBytes: 0 });
    expect(reportOf(request(1))).toMatchObject({ outcome: 'cancelled', responseBytes: 0 });
  });
});

const taskOf = (asked: RpcRequest, result: object): unknown =>
  reportOf(asked, (call) => call.answered(response(1, result))).task;

describe('the task', () => {
  test('of a request about one is the id that it names', () => {
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel', 'tasks/result'])
      expect(taskOf(request(1, method, { taskId: 't' }), { resultType: 'task', taskId: 'other' })).toBe('t');
    expect(taskOf(request(1, 'tasks/get', { taskId: 'x'.repeat(1000) }), {})).toBe('x'.repeat(200));
    for (const taskId of [undefined, 7, ['a']]) expect(taskOf(request(1, 'tasks/get', { taskId }), {})).toBeUndefined();
  });

  test('that a call has become is the one that the server says, and no other', () => {
    const call = request(1, 'tools/call', { name: 'slow' });
    expect(taskOf(call, { resultType: 'task', taskId: 't', status: 'working' })).toBe('t');
    expect(taskOf(call, { task: { taskId: 'x'.repeat(1000) } })).toBe('x'.repeat(200));
    expect(taskOf(call, { structuredContent: { taskId: 't' }, taskId: 't' })).toBeUndefined();
    expect(taskOf(call, { content: [] })).toBeUndefined();
    expect(reportOf(call, (asked) => asked.answered(response(1, { task: { taskId: 't' } }))).tool).toBe('slow');
  });
});

describe('the name', () => {
  test('of the tool, the resource or the prompt', () => {
    expect(nameOf('tools/call', { name: 'read', uri: 7, arguments: { name: 'no' } })).toEqual([
      'read',
      undefined,
      undefined,
    ]);
    expect(nameOf('prompts/get', { name: 'greet' })).toEqual([undefined, undefined, 'greet']);
    expect(nameOf('resources/subscribe', { uri: 'file:///a' })).toEqual([undefined, 'file:///a', undefined]);
    expect(nameOf('completion/complete', { ref: { name: 'greet' } })).toEqual([undefined, undefined, 'greet']);
    expect(nameOf('completion/complete', { ref: { uri: 'file:///{x}' } })).toEqual([
      undefined,
      'file:///{x}',
      undefined,
    ]);
  });

  test('is left out where there is none', () => {
    for (const method of ['tools/list', 'resources/templates/list', 'ping', 'logging/setLevel'])
      expect(nameOf(method, { name: 'no', uri: 'no' })).toEqual([undefined, undefined, undefined]);
    for (const name of [undefined, 7, null, ['a'], { a: 1 }, 'x'.repeat(10_000)])
      expect(nameOf('tools/call', { name })).toEqual([undefined, undefined, undefined]);
  });

  test('is cut, and a URI is without what may be secret', () => {
    expect(nameOf('tools/call', { name: 'x'.repeat(1000) })).toEqual(['x'.repeat(200), undefined, undefined]);
    expect(nameOf('resources/read', { uri: 'https://me:secret@a.example/b?key=secret#c' })[1]).toBe(
      'https://…@a.example/b?…',
    );
    expect(reportOf(request(1, 'm'.repeat(1000))).method).toHaveLength(200);
  });

  test('is found in a large request too', () => {
    const text = 'x'.repeat(100_000);
    expect(nameOf('tools/call', { arguments: { text }, name: 'read' })[0]).toBe('read');
    expect(
      nameOf('tools/call', { arguments: { numbers: Array.from({ length: 40_000 }, () => 1) }, name: 'read' })[0],
    ).toBe('read');
  });
});

test('sizes are those of the messages', () => {
  const asked = request(1);
  const answer = response(1, { content: [] });
  const { requestBytes, responseBytes } = reportOf(asked, (call) => call.answered(answer));
  expect([requestBytes, responseBytes]).toEqual([asked.bytes.length, answer.bytes.length]);
});

test('a larger message that nobody has parsed is not parsed for the report', () => {
  const filling = 'x'.repeat(5000);
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","filling":"${filling}"}}`;
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'request') throw new Error('not a request');
  const unread = new Proxy(parsed, {
    get(target, member) {
      if (member === 'json') throw new Error('it was parsed');
      const value: unknown = Reflect.get(target, member, target);
      return value;
    },
  });
  expect(reportOf(unread).tool).toBe('read');
});

const bodiesOf = (asked: RpcRequest, end: (call: CallReport) => void): RequestBodies | undefined => {
  let found: RequestBodies | undefined;
  const onRequest = (_report: RequestReport, bodies?: RequestBodies): unknown => (found = bodies);
  const call = new CallReport({ onRequest, readBody: (body) => ({ read: body }) }, asked, caller);
  end(call);
  call.make();
  return found;
};

describe('bodies', () => {
  const asked = request(1, 'tools/call', { name: 'x', arguments: { a: 1 }, _meta: {} });
  const sent = { arguments: { read: { a: 1 } } };

  test('are the arguments, and the result or error', () => {
    expect(bodiesOf(asked, (call) => call.answered(response(1, { content: [] })))).toEqual({
      ...sent,
      result: { read: { content: [] } },
    });
    const error = { code: -32_000, message: 'no', data: { a: 1 } };
    expect(bodiesOf(asked, (call) => call.answered(failedResponse(1, error)))).toEqual({
      ...sent,
      error: { read: error },
    });
    expect(bodiesOf(asked, (call) => call.failed(error, 1))).toEqual({ ...sent, error: { read: error } });
    expect(bodiesOf(asked, () => {})).toEqual(sent);
  });

  test('of a task are what its client answers, and what has come of it', () => {
    const update = request(1, 'tasks/update', { taskId: 't', inputResponses: { q1: {} } });
    expect(bodiesOf(update, () => {})).toEqual({ arguments: { read: { q1: {} } } });
    const done = response(1, { status: 'completed', result: { content: [] } });
    expect(bodiesOf(request(1, 'tasks/get', { taskId: 't' }), (call) => call.answered(done))?.result).toEqual({
      read: { status: 'completed', result: { content: [] } },
    });
  });

  test('of other requests are not read', () => {
    for (const method of ['initialize', 'tools/list', 'ping'])
      expect(bodiesOf(request(1, method, { arguments: {} }), (call) => call.answered(response(1)))).toBeUndefined();
  });

  test('have the long texts of large messages', () => {
    const text = 'x'.repeat(100_000);
    const large = response(1, { text });
    expect(bodiesOf(asked, (call) => call.answered(large))).toEqual({ ...sent, result: { read: { text } } });
  });

  test('of messages of more than 1 MiB are not read', () => {
    const large = response(1, { text: 'x'.repeat(1024 * 1024) });
    expect(bodiesOf(asked, (call) => call.answered(large))).toEqual({
      ...sent,
      result: `[message of ${large.bytes.length} bytes]`,
    });
  });
});
