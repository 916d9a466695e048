import { describe, expect, test, vi } from 'vitest';
import { memberOf, metaOf, parseMessage, progressTokenOf, type RpcMessage } from '../../src/mcp/json-rpc.ts';

function read(text: string): RpcMessage {
  const message = parseMessage(Buffer.from(text));
  if (message.kind === 'fault') throw new Error(message.reason);
  return message;
}

const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,"é"]}}}';
const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}';

describe('a message of which the envelope has been read', () => {
  test('is told apart without being parsed, and parsed once when somebody looks into it', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const message = read(call);
    expect(message).toMatchObject({ kind: 'request', id: 1, method: 'tools/call' });
    expect(read('{"jsonrpc":"2.0","id":"a","result":{}}')).toMatchObject({ kind: 'response', id: 'a', failed: false });
    expect(read('{"jsonrpc":"2.0","id":"a","error":{}}')).toMatchObject({ kind: 'response', failed: true });
    expect(read('{"jsonrpc":"2.0","method":"x"}')).toMatchObject({ kind: 'notification', method: 'x' });
    expect(parse).not.toHaveBeenCalled();
    expect(message.json).toEqual({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'x', arguments: { a: [1, 'é'] } },
    });
    expect(message.json).toBe(message.json);
    expect(parse).toHaveBeenCalledOnce();
  });

  test('tells its progress token, and that it has no _meta, without being parsed', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const [request, notification] = [read(call), read(progress)];
    if (request.kind !== 'request' || notification.kind !== 'notification') throw new Error('read wrongly');
    expect([metaOf(request), progressTokenOf(notification)]).toEqual([undefined, 'p']);
    expect(parse).not.toHaveBeenCalled();
  });

  test('tells the _meta that it has', () => {
    const request = read(call.replace('"name"', '"_meta":{"progressToken":7},"name"'));
    if (request.kind !== 'request') throw new Error('read wrongly');
    expect(memberOf(metaOf(request), 'progressToken')).toBe(7);
  });

  test('copied into another message, does not take its envelope along', () => {
    const notification = read(progress);
    if (notification.kind !== 'notification') throw new Error('read wrongly');
    const changed = { ...notification, json: { ...notification.json, params: { progressToken: 'q' } } };
    expect(progressTokenOf(changed)).toBe('q');
    expect(changed).toMatchObject({ kind: 'notification', method: 'notifications/progress' });
  });
});
