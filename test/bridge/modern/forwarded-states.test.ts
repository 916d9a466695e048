import { describe, expect, test } from 'vitest';
import type { RpcRequest, RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { parseJson } from '../../harness/parse-json.ts';
import type { FakeCall } from '../session/fake-sink.ts';
import { written } from '../shared/world.ts';
import { call, exchangesWorld, reasonsOf, type Sent } from './exchanges-world.ts';

const asks = (id: number): RpcMessage =>
  written(`{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required","requestState":"in\\u0041 ñ"}}`);
const stateIn = ({ responses }: FakeCall): unknown =>
  parseJson<{ result: { requestState: unknown } }>(responses[0]?.bytes.toString() ?? '').result.requestState;
const retry = (requestState: unknown, args: object = {}): RpcRequest =>
  call(2, 'tool', { ...args, requestState, inputResponses: { who: {} } });

describe('the requestState of a server', () => {
  test('is bound to the caller and the request, and comes back as the server wrote it', () => {
    const { world, run } = exchangesWorld();
    const first = run(call(1, 'tool', { arguments: { b: 1, a: 2 } }));
    world.server().say(asks(1));
    const state = stateIn(first);
    expect(state).toMatch(/^mx1\.[\w-]{8}\.[\w-]+$/);
    world.sent();
    run(retry(state, { arguments: { a: 2, b: 1 } }));
    expect(world.sent()).toEqual([expect.stringContaining('"requestState":"in\\u0041 ñ"')]);
    expect(
      [
        run(retry(state, { arguments: { a: 2, b: 1 } }), { caller: 'you' }),
        run(retry(state, { arguments: { a: 2 } })),
        run(retry(`${String(state).slice(0, -1)}${String(state).endsWith('A') ? 'B' : 'A'}`)),
        run(retry(`mx1.AAAAAAAA.${'A'.repeat(80)}`)),
        run(retry('inA ñ')),
        run(retry(5)),
      ].map((each) => [reasonsOf(each), each.failures[0]?.code]),
    ).toEqual([
      [['mismatch'], -32602],
      [['mismatch'], -32602],
      [['integrity'], -32602],
      [['bridge_restarted'], -32602],
      [['malformed'], -32602],
      [['malformed'], -32602],
    ]);
    expect(world.sent()).toEqual([]);
  });

  test('of more than is read of a large message is whole, too', () => {
    const { world, run } = exchangesWorld();
    const first = run(call());
    const inner = 'x'.repeat(100_000);
    world
      .server()
      .say(written(`{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"${inner}"}}`));
    world.sent();
    run(retry(stateIn(first)));
    expect(parseJson<Sent>(world.sent()[0] ?? '').params['requestState']).toBe(inner);
  });

  test('passes as it is where callers are not known', () => {
    const { world, run, sent } = exchangesWorld({ areCallersKnown: false });
    const first = run(call());
    world.server().say(asks(1));
    sent();
    run(retry(stateIn(first)));
    expect([stateIn(first), sent()[0]?.params['requestState']]).toEqual(['inA ñ', 'inA ñ']);
  });
});
