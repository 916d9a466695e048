import { describe, expect, test } from 'vitest';
import { bindingOf, RequestStates } from '../../../src/bridge/translate/request-state.ts';
import { parseMessage, type RpcRequest } from '../../../src/mcp/json-rpc.ts';
import { request } from '../messages.ts';

const claims = { id: 7, binding: 'b'.repeat(43), expiresAt: 1_700_000_000_000 };

describe('a sealed state', () => {
  test('opens to what was sealed, and says nothing of it', () => {
    const states = new RequestStates();
    const state = states.seal(claims);
    expect(states.open(state)).toEqual(claims);
    expect(state).toMatch(/^mx1\.[\w-]{8}\.[\w-]+$/);
    expect(Buffer.from(state.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('bbb');
    expect(states.seal(claims)).not.toBe(state);
  });

  test('does not open when any of its bytes is changed', () => {
    const states = new RequestStates();
    const [version, epoch, text = ''] = states.seal(claims).split('.');
    const sealed = Buffer.from(text, 'base64url');
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8((sealed[at] ?? 0) ^ 1, at);
      expect(states.open(`${version}.${epoch}.${changed.toString('base64url')}`)).toBe('integrity');
    }
  });

  test('of another process does not open, whoever claims to be it', () => {
    const [mine, other] = [new RequestStates(), new RequestStates()];
    const state = other.seal(claims);
    expect(mine.open(state)).toBe('bridge_restarted');
    const [version, , sealed] = state.split('.');
    const epoch = mine.seal(claims).split('.')[1];
    expect(mine.open(`${version}.${epoch}.${sealed}`)).toBe('integrity');
  });

  test.each([
    '',
    'x',
    'mx1',
    'mx1..',
    'mx1.abcdefgh.',
    'mx2.abcdefgh.aaaa',
    `mx1.abcdefgh.${'a'.repeat(2000)}`,
    'mx1.abcdefgh.!!!!',
  ])('%.20s is none', (state) => {
    expect(new RequestStates().open(state)).toBe('malformed');
  });
});

describe('the binding of a request', () => {
  const params = { name: 'a', arguments: { x: 1, y: [{ b: 'c', a: null }] } };
  const of = (change: object = {}, method = 'tools/call', caller = 'me', capabilities = '{}'): string =>
    bindingOf(caller, capabilities, request(1, method, { ...params, ...change }));

  test('is the same for a retry, in whatever order it is written', () => {
    const members = '"arguments":{"y":[{"a":null,"b":"c"}], "x":1.0},"name":"a"';
    const retry = `{"jsonrpc":"2.0","id":"z","method":"tools/call","params":{"requestState":"s","inputResponses":{},"_meta":{"k":1},${members}}}`;
    expect(bindingOf('me', '{}', parsed(retry))).toBe(of());
  });

  test.each([
    ['arguments', of({ arguments: { x: 2 } })],
    ['order in a list', of({ arguments: { x: 1, y: [{ b: 'c' }, { a: null }] } })],
    ['further members', of({ task: {} })],
    ['method', of({}, 'prompts/get')],
    ['caller', of({}, 'tools/call', 'you')],
    ['capabilities', of({}, 'tools/call', 'me', '{"roots":{}}')],
  ])('is another one with other %s', (_what, other) => {
    expect(other).not.toBe(of());
  });

  test('counts long strings, which are not in the parsed message', () => {
    const [a, b] = ['a', 'b'].map((end) => of({ arguments: { x: 'x'.repeat(100_000) + end } }));
    expect(a).not.toBe(b);
  });

  test('is that of a request without params too', () => {
    expect(bindingOf('me', '{}', parsed('{"jsonrpc":"2.0","id":1,"method":"tools/call"}'))).toHaveLength(43);
  });
});

function parsed(text: string): RpcRequest {
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  return message;
}
