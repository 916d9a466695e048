import { expect, test } from 'vitest';
import { classify, type Classification } from '../../src/mcp/classify.ts';
import { parseMessage } from '../../src/mcp/json-rpc.ts';

function classified(message: object, revisionHeader?: string, agreed?: string): Classification {
  const parsed = parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })));
  if (parsed.kind === 'fault') throw new Error(parsed.reason);
  return classify(parsed, revisionHeader, agreed);
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
])('%s belongs to a session', (_what, message) => {
  expect(classified(message)).toEqual({ kind: 'session' });
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
  const message = { id: 1, method: 'tools/list', params: modernMeta('2026-07-28') };
  expect(classified(message)).toEqual(unsupported('2026-07-28'));
  expect(classified(message, '2025-11-25')).toEqual(unsupported('2026-07-28'));
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
