import { expect, test } from 'vitest';
import type { Bytes } from '../../../src/platform/bytes.ts';
import { StreamCall, type CallStream } from '../../../src/http/responses/stream-call.ts';
import type { RequestId } from '../../../src/mcp/json-rpc.ts';
import { notification, request, response } from '../../bridge/messages.ts';

interface FakeStream extends CallStream {
  readonly written: [text: string, answers: RequestId | undefined][];
  isThere: boolean;
  leave(): void;
}

function fakeStream(): FakeStream {
  const onGone: (() => void)[] = [];
  const written: FakeStream['written'] = [];
  const write = (bytes: Bytes, answers?: RequestId): boolean => written.push([bytes.toString(), answers]) < 3;
  return {
    written,
    isThere: true,
    isConnected() {
      return this.isThere;
    },
    send: ({ bytes }) => write(bytes),
    write,
    whenWritable: (callback) => callback(),
    whenGone: (callback) => void onGone.push(callback),
    leave() {
      this.isThere = false;
      for (const callback of onGone) callback();
    },
  };
}

const note = notification('notifications/message', { data: 'x' });
const answer = response(7, { content: [] });

test('shares its stream until its response, and is over then', () => {
  const stream = fakeStream();
  let over = 0;
  const call = new StreamCall({ stream, id: 7, onOver: () => over++ });
  expect([call.isOpen(), call.send(note), over]).toEqual([true, true, 0]);
  expect([call.finish(answer), call.isOpen(), over]).toEqual([true, false, 1]);
  expect([call.send(note), call.finish(answer)]).toEqual([true, true]);
  call.fail({ code: -32603, message: 'late' });
  call.end();
  expect(over).toBe(1);
  expect(stream.written).toEqual([
    [note.bytes.toString(), undefined],
    [answer.bytes.toString(), 7],
  ]);
});

test('says when the stream is slow', () => {
  const stream = fakeStream();
  const call = new StreamCall({ stream, id: 7 });
  expect([call.send(note), call.send(note), call.finish(answer)]).toEqual([true, true, false]);
});

test('fails with its id, or without one', () => {
  const stream = fakeStream();
  new StreamCall({ stream, id: 7 }).fail({ code: -32603, message: 'gone' });
  new StreamCall({ stream, id: null }).fail({ code: -32600, message: 'in use' });
  expect(stream.written).toEqual([
    ['{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"gone"}}', 7],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"in use"}}', undefined],
  ]);
});

test('that is cancelled writes nothing', () => {
  const stream = fakeStream();
  let over = 0;
  new StreamCall({ stream, id: 7, onOver: () => over++ }).end();
  expect([stream.written, over]).toEqual([[], 1]);
});

test('says that its client has gone only while it is not over', () => {
  const stream = fakeStream();
  const gone: string[] = [];
  const [open, over] = [new StreamCall({ stream, id: 1 }), new StreamCall({ stream, id: 2 })];
  open.whenGone(() => gone.push('open'));
  over.whenGone(() => gone.push('over'));
  over.end();
  stream.leave();
  expect([gone, open.isOpen()]).toEqual([['open'], false]);
});

test('on a stream that cannot be resumed is neither absent nor recalled', () => {
  const call = new StreamCall({ stream: fakeStream(), id: 7 });
  expect([call.absence(), call.recall(request('ask', 'roots/list'))]).toEqual([undefined, true]);
});
