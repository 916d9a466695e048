import { describe, expect, test } from 'vitest';
import { classify, classifyLegacy, type Classification } from '../../src/mcp/classify.ts';
import type { MessageHeaders } from '../../src/mcp/standard-headers.ts';
import { memberOf, parseMessage } from '../../src/mcp/json-rpc.ts';
import { message } from '../bridge/messages.ts';

function classified(members: object, revisionHeader?: string, agreed?: string): Classification {
  return classifyLegacy(message(members), revisionHeader, agreed);
}

function unsupported(requested: string): Classification {
  return {
    kind: 'reject',
    status: 400,
    code: -32022,
    reason: `protocol revision ${JSON.stringify(requested)} is not supported here`,
    data: { supported: ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'], requested },
  };
}

const modernMeta = (revision: unknown): object => ({ _meta: { 'io.modelcontextprotocol/protocolVersion': revision } });

describe('where only sessions are served', () => {
  test('initialize opens a session', () => {
    expect(classified({ id: 1, method: 'initialize', params: {} })).toEqual({ kind: 'opening' });
  });

  test('initialize as a notification opens nothing', () => {
    expect(classified({ method: 'initialize' })).toEqual({ kind: 'session' });
  });

  test.each([
    ['a request', { id: 1, method: 'tools/list' }],
    ['a notification', { method: 'notifications/initialized' }],
    ['a result', { id: 1, result: {} }],
    ['an error', { id: 1, error: { code: 1, message: 'no' } }],
  ])('%s belongs to a session', (_what, members) => {
    expect(classified(members)).toEqual({ kind: 'session' });
  });

  test.each(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'])('header %s is of the legacy era', (revision) => {
    expect(classified({ id: 1, method: 'tools/list' }, revision)).toEqual({ kind: 'session' });
    expect(classified({ id: 1, method: 'initialize' }, revision)).toEqual({ kind: 'opening' });
  });

  test('a header of the modern era is answered with what is supported', () => {
    expect(classified({ id: 1, method: 'tools/list' }, '2026-07-28')).toEqual(unsupported('2026-07-28'));
    expect(classified({ id: 1, result: {} }, '2027-01-01')).toEqual(unsupported('2027-01-01'));
  });

  test.each(['2026-07-28', '2099-01-01'])('a header with what the session agreed on (%s) is served', (revision) => {
    expect(classified({ id: 1, method: 'tools/list' }, revision, revision)).toEqual({ kind: 'session' });
    expect(classified({ id: 1, method: 'tools/list' }, revision, '2025-11-25')).toEqual(unsupported(revision));
  });

  test('a revision in the body is answered with what is supported, whatever the header says', () => {
    const listing = { id: 1, method: 'tools/list', params: modernMeta('2026-07-28') };
    expect(classified(listing)).toEqual(unsupported('2026-07-28'));
    expect(classified(listing, '2025-11-25')).toEqual(unsupported('2026-07-28'));
    expect(classified({ method: 'notifications/x', params: modernMeta('2026-07-28') })).toEqual(
      unsupported('2026-07-28'),
    );
  });

  test.each([[7], [null], [{}], [['2026-07-28']]])(
    'a revision in the body that is no string (%j) is refused',
    (revision) => {
      expect(classified({ id: 1, method: 'm', params: modernMeta(revision) })).toEqual(unsupported('malformed'));
    },
  );

  test('a response may carry any _meta', () => {
    expect(classified({ id: 1, result: modernMeta('2026-07-28') })).toEqual({ kind: 'session' });
  });

  test('params and _meta of any shape are no reason to refuse', () => {
    for (const params of [null, [], 'text', 7, { _meta: null }, { _meta: [] }, { _meta: { other: 1 } }]) {
      expect(classified({ id: 1, method: 'm', params })).toEqual({ kind: 'session' });
    }
  });

  test('an endless revision is cut in the answer', () => {
    const endless = { 'io.modelcontextprotocol/protocolVersion': `9${'x'.repeat(10_000)}` };
    const verdict = classified({ id: 1, method: 'm', params: { _meta: endless } });
    expect(verdict).toEqual(unsupported(`9${'x'.repeat(63)}`));
  });

  test.each(['2025-11-25', '2024-11-05'])(
    'a legacy revision in _meta (%s) is nothing to us, and travels on',
    (revision) => {
      const params = { _meta: { 'io.modelcontextprotocol/protocolVersion': revision } };
      expect(classified({ id: 1, method: 'm', params })).toEqual({ kind: 'session' });
    },
  );

  test.each(['banana', '9', '2026-7-28', ''])('a header that is no date (%j) says nothing of an era', (header) => {
    expect(classified({ id: 1, method: 'm' }, header)).toEqual({ kind: 'session' });
  });
});

function both(members: object, headers: MessageHeaders = {}, agreed?: string): Classification {
  return classify(message(members), headers, agreed);
}

/** Status and code of a rejection; otherwise the kind. */
function outcome(members: object, headers: MessageHeaders = {}, agreed?: string): string {
  const verdict = both(members, headers, agreed);
  return verdict.kind === 'reject' ? `${verdict.status} ${verdict.code}` : verdict.kind;
}

describe('where both eras are served', () => {
  const revision = '2026-07-28';
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const modern = { revision, method: 'tools/call', name: 'echo' };
  const call = (_meta: object = envelope, more: object = {}) => ({
    id: 1,
    method: 'tools/call',
    params: { name: 'echo', _meta, ...more },
  });

  test.each([
    ['with an envelope', call(), modern],
    ['of a client that does not say who it is', call({ ...envelope }), modern],
    [
      'of a client that says who it is',
      call({ ...envelope, 'io.modelcontextprotocol/clientInfo': { name: 'x' } }),
      modern,
    ],
    ['with a session id, which means nothing', call(), { ...modern, session: 'x' }],
    [
      'without a name',
      { id: 1, method: 'tools/list', params: { _meta: envelope } },
      { revision, method: 'tools/list' },
    ],
    ['of an unknown method', { id: 1, method: 'x/y', params: { _meta: envelope } }, { revision, method: 'x/y' }],
    ['with an encoded name', call(envelope, { name: 'größe' }), { ...modern, name: '=?base64?Z3LDtsOfZQ==?=' }],
    [
      'with the name of a resource',
      { id: 1, method: 'resources/read', params: { uri: 'a:b', _meta: envelope } },
      { revision, method: 'resources/read', name: 'a:b' },
    ],
  ])('a request %s is an exchange', (_what, members, headers) => {
    expect(both(members, headers)).toEqual({ kind: 'exchange' });
  });

  test.each([
    ['a request without an envelope', { id: 1, method: 'tools/list' }, {}, 'session'],
    ['with the header of a session', { id: 1, method: 'tools/list' }, { revision: '2025-11-25' }, 'session'],
    ['a response', { id: 1, result: {} }, {}, 'session'],
    ['a notification', { method: 'notifications/initialized' }, {}, 'session'],
    ['initialize', { id: 1, method: 'initialize', params: {} }, {}, 'opening'],
    ['initialize with a malformed envelope', { id: 1, method: 'initialize', params: modernMeta(7) }, {}, 'opening'],
    ['initialize with half an envelope', { id: 1, method: 'initialize', params: modernMeta(revision) }, {}, 'opening'],
    [
      'a legacy revision in a session',
      { id: 1, method: 'm', params: modernMeta('2025-11-25') },
      { session: 'x' },
      'session',
    ],
  ])('%s is of the legacy era', (_what, members, headers, kind) => {
    expect(outcome(members, headers)).toBe(kind);
  });

  test('what a session has agreed on is of that session', () => {
    expect(outcome({ id: 1, method: 'm' }, { revision, session: 'x' }, revision)).toBe('session');
    expect(outcome({ id: 1, method: 'm' }, { revision, session: 'x' }, '2025-11-25')).toBe('400 -32602');
  });

  test.each([
    ['no _meta', { id: 1, method: 'tools/list', params: {} }],
    ['no params', { id: 1, method: 'tools/list' }],
    ['no revision', call({ 'io.modelcontextprotocol/clientCapabilities': {} })],
    ['no capabilities', call({ 'io.modelcontextprotocol/protocolVersion': revision })],
    ['a revision that is a number', call({ ...envelope, 'io.modelcontextprotocol/protocolVersion': 20260728 })],
    ['a revision that is null', call({ ...envelope, 'io.modelcontextprotocol/protocolVersion': null })],
    ['capabilities that are a list', call({ ...envelope, 'io.modelcontextprotocol/clientCapabilities': [] })],
    ['capabilities that are null', call({ ...envelope, 'io.modelcontextprotocol/clientCapabilities': null })],
    ['a client that is a name', call({ ...envelope, 'io.modelcontextprotocol/clientInfo': 'x' })],
    ['a log level that is a number', call({ ...envelope, 'io.modelcontextprotocol/logLevel': 1 })],
    ['a log level that is none', call({ ...envelope, 'io.modelcontextprotocol/logLevel': 'loud' })],
  ])('an envelope with %s is refused', (_what, members) => {
    expect(outcome(members, modern)).toBe('400 -32602');
  });

  test('an envelope names what it lacks', () => {
    expect(both(call({ 'io.modelcontextprotocol/protocolVersion': revision }), modern)).toEqual({
      kind: 'reject',
      status: 400,
      code: -32602,
      reason: 'params._meta lacks "io.modelcontextprotocol/clientCapabilities", which every request has',
      data: { reason: 'malformed_envelope' },
    });
  });

  const listen = (notifications?: unknown, more: object = {}) =>
    both(
      { id: 1, method: 'subscriptions/listen', params: { notifications, ...more, _meta: envelope } },
      { revision, method: 'subscriptions/listen' },
    );

  test.each([
    [undefined, 'params.notifications, the filter of the subscription, is not an object'],
    [null, 'params.notifications, the filter of the subscription, is not an object'],
    [['toolsListChanged'], 'params.notifications, the filter of the subscription, is not an object'],
    [{ toolsListChanged: 'yes' }, 'params.notifications.toolsListChanged is not a boolean'],
    [{ resourcesListChanged: null }, 'params.notifications.resourcesListChanged is not a boolean'],
    [{ resourceSubscriptions: 'a:b' }, 'params.notifications.resourceSubscriptions is not a list of URIs'],
    [{ resourceSubscriptions: ['a:b', 7] }, 'params.notifications.resourceSubscriptions is not a list of URIs'],
  ])('a subscription to %j is refused', (filter, reason) => {
    const data = { reason: 'malformed_filter' };
    expect(listen(filter)).toEqual({ kind: 'reject', status: 400, code: -32602, reason, data });
  });

  test.each([
    [{}],
    [{ toolsListChanged: false, promptsListChanged: true, resourceSubscriptions: [], taskIds: 7 }],
    [{ resourceSubscriptions: ['a:b'] }],
  ])('a subscription to %j is an exchange', (filter) => {
    expect(listen(filter)).toEqual({ kind: 'exchange' });
  });

  test('a subscription to long addresses in a large message is an exchange', () => {
    expect(listen({ resourceSubscriptions: [`a:${'x'.repeat(5000)}`] }, { filling: 'x'.repeat(20_000) })).toEqual({
      kind: 'exchange',
    });
  });

  test.each(['2027-01-01', 'v999.0.0', '1999-01-01', ''])('revision %j is not supported', (requested) => {
    const members = call({ ...envelope, 'io.modelcontextprotocol/protocolVersion': requested });
    expect(both(members, { ...modern, revision: requested })).toMatchObject({
      status: 400,
      code: -32022,
      data: { supported: ['2026-07-28'], requested },
    });
    // What the header says must be right first; what else is missing comes later.
    expect(outcome(members, modern)).toBe('400 -32020');
    expect(outcome(members)).toBe('400 -32022');
  });

  test.each([
    ['another revision', { ...modern, revision: '2025-11-25' }],
    ['no revision', { method: 'tools/call', name: 'echo' }],
    ['another method', { ...modern, method: 'tools/list' }],
    ['a method in other case', { ...modern, method: 'Tools/Call' }],
    ['an encoded method', { ...modern, method: '=?base64?dG9vbHMvY2FsbA==?=' }],
    ['no method', { revision, name: 'echo' }],
    ['another name', { ...modern, name: 'delete' }],
    ['a name with a part of it', { ...modern, name: 'echo, echo' }],
    ['no name', { revision, method: 'tools/call' }],
    ['a badly encoded name', { ...modern, name: '=?base64?ZWNobw?=' }],
  ])('headers with %s are refused', (_what, headers) => {
    expect(outcome(call(), headers)).toBe('400 -32020');
  });

  test('a long name in a large message, which is not parsed there, is compared all the same', () => {
    const name = 'n'.repeat(5000);
    const members = call(envelope, { name, filling: 'x'.repeat(20_000) });
    expect(memberOf(message(members).json['params'], 'name')).toBeNull();
    expect([outcome(members, { ...modern, name }), outcome(members, modern)]).toEqual(['exchange', '400 -32020']);
  });

  test('a name in the header and none in the body is refused', () => {
    expect(outcome({ id: 1, method: 'tools/call', params: { _meta: envelope } }, modern)).toBe('400 -32020');
    expect(outcome({ id: 1, method: 'tools/call', params: { name: 7, _meta: envelope } }, modern)).toBe('400 -32020');
  });

  test.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete","name":"echo","_meta":META}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","NAME":"delete","_meta":META}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\\u0061me":"echo","_meta":META}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{},"_meta":META}}',
  ])('a body that others may read differently is refused: %s', (text) => {
    const parsed = parseMessage(Buffer.from(text.replace('META', JSON.stringify(envelope))));
    if (parsed.kind === 'fault') throw new Error(parsed.reason);
    expect(classify(parsed, modern, undefined)).toMatchObject({ status: 400, code: -32600 });
  });

  test.each([
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'resources/unsubscribe',
    'tasks/list',
    'tasks/result',
  ])('%s does not exist', (method) => {
    expect(outcome({ id: 1, method, params: { _meta: envelope } }, { revision, method })).toBe('404 -32601');
  });

  test('initialize without an envelope contradicts a modern header', () => {
    expect(outcome({ id: 1, method: 'initialize', params: {} }, { revision })).toBe('400 -32020');
  });

  test('a response with a modern header is refused', () => {
    expect(outcome({ id: 1, result: {} }, { revision })).toBe('400 -32600');
  });

  test.each([
    ['with the header', { method: 'x/y' }, { revision }, 'exchange'],
    ['with both headers', { method: 'x/y' }, { revision, method: 'x/y' }, 'exchange'],
    ['with a revision in the body', { method: 'x/y', params: modernMeta(revision) }, {}, 'exchange'],
    ['with another method in the header', { method: 'x/y' }, { revision, method: 'y/z' }, '400 -32020'],
    [
      'with another revision in the header',
      { method: 'x/y', params: modernMeta(revision) },
      { revision: '2027-01-01' },
      '400 -32020',
    ],
    ['with a revision that is not served', { method: 'x/y' }, { revision: '2027-01-01' }, '400 -32022'],
    ['with a malformed revision', { method: 'x/y', params: modernMeta(7) }, { revision }, '400 -32602'],
  ])('a notification %s', (_what, members, headers, expected) => {
    expect(outcome(members, headers)).toBe(expected);
  });

  test('whatever is wrong with an envelope or a header, nothing modern becomes a part of a session', () => {
    const revisions = [undefined, '2025-11-25', '2026-07-28', '2027-01-01', 'banana', ''];
    const claims = [...revisions, null, 20260728, {}, []];
    const methods = ['initialize', 'tools/call', 'x/y'];
    const kinds = new Set<string>();
    const wrong: unknown[] = [];
    for (const claim of claims)
      for (const inHeader of revisions)
        for (const method of methods)
          for (const agreed of [undefined, '2025-11-25', '2026-07-28'])
            for (const id of [{ id: 1 }, {}]) {
              const meta = { ...envelope, 'io.modelcontextprotocol/protocolVersion': claim };
              const headers = { session: agreed && 'x', revision: inHeader, method, name: 'echo' };
              const { kind } = both({ ...id, method, params: { name: 'echo', _meta: meta } }, headers, agreed);
              kinds.add(kind);
              const isModern = claim !== undefined && !(typeof claim === 'string' && claim < '2026-07-28');
              const isHandshake = method === 'initialize' && 'id' in id && claim !== '2026-07-28';
              const isServed = (claim ?? inHeader) === '2026-07-28' && (!('id' in id) || claim === inHeader);
              const isRight = kind === 'exchange' ? isServed : kind === 'reject' || !isModern || isHandshake;
              if (!isRight) wrong.push([kind, claim, inHeader, method, agreed]);
            }
    expect(wrong).toEqual([]);
    expect([...kinds].toSorted()).toEqual(['exchange', 'opening', 'reject', 'session']);
  });
});
