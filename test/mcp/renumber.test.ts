import { expect, test } from 'vitest';
import { parseMessage, type RpcRequest, type RpcResponse } from '../../src/mcp/json-rpc.ts';
import { remove, setDefault } from '../../src/mcp/json/edit-members.ts';
import { keptAsText } from '../../src/mcp/request-id.ts';
import { Renumbering } from '../../src/mcp/renumber.ts';

const requests = new Renumbering([[['params', 'secret'], remove]], true);
const responses = new Renumbering([[['result', 'type'], setDefault('"x"')]]);

function request(text: string): RpcRequest {
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('the test wrote no request');
  return message;
}

function response(text: string): RpcResponse {
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'response') throw new Error('the test wrote no response');
  return message;
}

// With an escape in a name that matters, a message is parsed at once.
test.each(['method', String.raw`\u006dethod`])(
  'a request gets another id and token, in the bytes and parsed (%s)',
  (name) => {
    const text = `{"jsonrpc":"2.0","id":"a","${name}":"x","params":{"n":1.0,"secret":1,"_meta":{"progressToken":"p"}}}`;
    const renumbered = requests.request(request(text), 7);
    expect(renumbered.bytes.toString()).toBe(
      `{"jsonrpc":"2.0","id":7,"${name}":"x","params":{"n":1.0,"_meta":{"progressToken":7}}}`,
    );
    expect([renumbered.id, renumbered.method]).toEqual([7, 'x']);
    expect(renumbered.json).toEqual({
      jsonrpc: '2.0',
      id: 7,
      method: 'x',
      params: { n: 1, _meta: { progressToken: 7 } },
    });
  },
);

test('a request without a token gets none', () => {
  const renumbered = requests.request(request('{"jsonrpc":"2.0","id":1,"method":"x","params":{}}'), 2);
  expect(renumbered.bytes.toString()).toBe('{"jsonrpc":"2.0","id":2,"method":"x","params":{}}');
});

test('a response gets the id of its request, as it was written', () => {
  const id = keptAsText('12345678901234567890');
  if (id === undefined) throw new Error('it is a number');
  const renumbered = responses.response(response('{"jsonrpc":"2.0","id":3,"result":{"a":[1e400]}}'), id);
  expect(renumbered.bytes.toString()).toBe(
    '{"jsonrpc":"2.0","id":12345678901234567890,"result":{"a":[1e400],"type":"x"}}',
  );
  expect([renumbered.id, renumbered.failed]).toEqual([id, false]);
});
