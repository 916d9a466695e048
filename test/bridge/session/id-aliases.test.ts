import { describe, expect, test } from 'vitest';
import { IdAliases } from '../../../src/bridge/session/id-aliases.ts';
import { parseMessage, type RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { parseJson } from '../../harness/parse-json.ts';
import { world } from './channel-world.ts';
import { createFakeCall } from './fake-sink.ts';

function written(text: string): RpcMessage {
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind === 'fault') throw new Error(parsed.reason);
  return parsed;
}

const text = ({ bytes }: RpcMessage): string => bytes.toString();
/** What a server in JavaScript would answer. */
const rounded = (message: string): { id: string; params: { _meta?: { progressToken: string }; requestId?: string } } =>
  parseJson(message);

const call = (id: string, token?: string): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{${
    token === undefined ? '' : `"_meta":{"progressToken":${token}},`
  }"x":1.00}}`;

const progress = (token: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`;

const answerTo = (of: string): string => `{"jsonrpc":"2.0","id":${of},"result":{"y":2.00}}`;

test('what JavaScript holds exactly passes untouched', () => {
  const names = new IdAliases();
  for (const id of ['1', '"1"', '-5', '1.5', '9007199254740992', '"9007199254740993"']) {
    const request = written(call(id, id));
    expect(names.toServer(request)).toBe(request);
    expect(names.toClient(request)).toBe(request);
  }
  const answer = written('{"jsonrpc":"2.0","id":1,"result":{}}');
  expect(names.toClient(answer)).toBe(answer);
});

test.each(['9007199254740993', '1.0', '1e400', '-0', '123456789.00000000001'])(
  'a request %s, its progress, its cancellation and its answer',
  (id) => {
    const names = new IdAliases();
    const sent = text(names.toServer(written(call(id, id))));
    const name = rounded(sent).id;
    expect(sent).toBe(call(`"${name}"`, `"${name}"`));
    const cancellation = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`;
    expect(rounded(text(names.toServer(written(cancellation)))).params.requestId).toBe(name);
    expect(text(names.toClient(written(progress(`"${name}"`))))).toBe(progress(id));
    expect(text(names.toClient(written(answerTo(`"${name}"`))))).toBe(answerTo(id));
  },
);

test('a request of the server has a name for the client alike', () => {
  const names = new IdAliases();
  const ask = '{"jsonrpc":"2.0","id":9007199254740993,"method":"roots/list"}';
  const { id } = rounded(text(names.toClient(written(ask))));
  expect(text(names.toServer(written(`{"jsonrpc":"2.0","id":"${id}","result":{}}`)))).toBe(
    '{"jsonrpc":"2.0","id":9007199254740993,"result":{}}',
  );
});

test('an alias that nobody was given is left as it is', () => {
  const names = new IdAliases();
  const { id } = rounded(text(names.toServer(written(call('1.0')))));
  for (const wrong of [id.slice(1), `${id}}`, `${id},`, `${id.slice(0, -3)}1,\\"x\\":2`, id.slice(0, -3)]) {
    const answer = written(answerTo(`"${wrong}"`));
    expect(names.toClient(answer)).toBe(answer);
    expect(names.toServer(answer)).toBe(answer);
  }
  // The client's aliases are not the server's.
  const ask = written(`{"jsonrpc":"2.0","id":"${id}","method":"roots/list"}`);
  expect(names.toClient(ask)).toBe(ask);
  const back = written(answerTo(`"${id}"`));
  expect(names.toServer(back)).toBe(back);
});

describe('a channel', () => {
  test('keeps calls apart whose ids differ in their text alone', () => {
    const { upstream, channel } = world();
    const ids = ['9007199254740992', '9007199254740993', '9007199254740993.0', '1e3', '1000'];
    const calls = ids.map((id) => {
      const fake = createFakeCall();
      const request = written(call(id, id));
      expect(request.kind === 'request' && channel.request(request, fake)).toBeUndefined();
      return fake;
    });
    const sent = upstream.sent.map((line) => parseJson<{ id: string | number }>(line).id);
    // As a server in JavaScript has understood them.
    expect(new Set(sent).size).toBe(ids.length);
    for (const [index, id] of sent.entries()) {
      const token = JSON.stringify(id);
      upstream.say(
        written(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`),
      );
      upstream.say(written(`{"jsonrpc":"2.0","id":${token},"result":{"n":${index}}}`), id);
    }
    expect(calls.map(({ got }) => got.map(text))).toEqual(
      ids.map((id) => [
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${id},"progress":1}}`,
      ]),
    );
    expect(calls.map(({ responses }) => responses.map(text))).toEqual(
      ids.map((id, n) => [`{"jsonrpc":"2.0","id":${id},"result":{"n":${n}}}`]),
    );
  });

  test('fails those that a lost server had, and not those that are sent again', () => {
    const { upstream, channel } = world();
    const [lost, again] = ['9007199254740993', '9007199254740995'].map((id) => {
      const fake = createFakeCall();
      const request = written(call(id));
      if (request.kind === 'request') channel.request(request, fake);
      return fake;
    });
    upstream.lose({ untaken: [written(upstream.sent[1] ?? '')] });
    expect([lost?.failures.length, again?.failures.length]).toEqual([1, 0]);
  });
});
