import { describe, expect, test } from 'vitest';
import { Replay } from '../../../src/bridge/restart/replay.ts';
import type { RpcMessage } from '../../../src/mcp/json-rpc.ts';
import { agreement, failedResponse, initialize, message, notification, request, response } from '../messages.ts';

interface ReplayWorld {
  readonly replay: Replay;
  readonly warnings: string[];
  /** Notes a request and its answer. */
  readonly done: (method: string, params: object, failed?: boolean) => void;
}

let lastId = 100;

/** Client and server have agreed, and the client is ready. */
function world(isReady = true): ReplayWorld {
  const warnings: string[] = [];
  const replay = new Replay((warning) => warnings.push(warning));
  const done: ReplayWorld['done'] = (method, params, failed = false) => {
    const id = ++lastId;
    replay.sending(request(id, method, params));
    replay.answered(failed ? failedResponse(id) : response(id));
  };
  replay.sending(initialize);
  replay.answered(agreement());
  if (isReady) replay.sending(notification('notifications/initialized'));
  return { replay, warnings, done };
}

function shown(messages: RpcMessage[]): unknown[] {
  return messages.map(({ json }) => [json['method'], json['params']]);
}

const ready = ['notifications/initialized', undefined];

describe('client and server have agreed', () => {
  test('when initialize was answered with a revision', () => {
    const { replay } = world();
    expect(replay.isAgreed).toBe(true);
    const again = replay.initialize();
    expect([again.method, again.json['params']]).toEqual(['initialize', initialize.json['params']]);
  });

  test.each([
    ['a refusal', failedResponse(0)],
    ['no revision', response(0, {})],
    ['an answer to something else', response(1, { protocolVersion: '2025-11-25' })],
  ])('not by %s', (_what, answer) => {
    const replay = new Replay(() => {});
    replay.sending(initialize);
    replay.answered(answer);
    expect(replay.isAgreed).toBe(false);
  });

  test('not by an answer that came after the connection was lost, or to what was not sent', () => {
    const replay = new Replay(() => {});
    replay.sending(initialize);
    replay.lose();
    replay.answered(agreement());
    replay.sending(initialize);
    replay.notSent(initialize.id);
    replay.answered(agreement());
    expect(replay.isAgreed).toBe(false);
  });
});

describe('a new answer to initialize', () => {
  test('does when it names the same revision', () => {
    const { replay } = world();
    expect(replay.objection(agreement('x'))).toBeUndefined();
  });

  test.each([
    [agreement('x', '2024-11-05'), 'it speaks revision "2024-11-05" now, and the client "2025-11-25"'],
    [response('x', {}), 'it speaks revision undefined now, and the client "2025-11-25"'],
    [failedResponse('x'), 'it refused initialize: no'],
    [failedResponse('x', { code: 1 }), 'it refused initialize: it gave no reason'],
  ])('does not otherwise', (answer, objection) => {
    expect(world().replay.objection(answer)).toBe(objection);
  });

  test('tells which lists may have changed', () => {
    const { replay } = world();
    const capabilities = { tools: { listChanged: true }, prompts: { listChanged: 'yes' }, resources: {}, logging: {} };
    expect(shown(replay.changes(response('x', { capabilities })))).toEqual([
      ['notifications/tools/list_changed', undefined],
    ]);
    const all = Object.fromEntries(['tools', 'prompts', 'resources'].map((list) => [list, { listChanged: true }]));
    expect(replay.changes(response('x', { capabilities: all }))).toHaveLength(3);
    expect(replay.changes(response('x', {}))).toEqual([]);
  });
});

describe('what follows initialize', () => {
  test('is that the client is ready', () => {
    expect(shown(world().replay.rest())).toEqual([ready]);
  });

  test('is nothing when it was not, and it is told of no changes', () => {
    const { replay, done } = world(false);
    done('logging/setLevel', { level: 'debug' });
    expect(replay.rest()).toEqual([]);
    expect(replay.changes(response('x', { capabilities: { tools: { listChanged: true } } }))).toEqual([]);
  });

  test('is the last log level that the server has taken', () => {
    const { replay, done } = world();
    done('logging/setLevel', { level: 'debug' });
    done('logging/setLevel', { level: 'error' });
    done('logging/setLevel', { level: 'nonsense' }, true);
    replay.sending(request(1, 'logging/setLevel', { level: 'info' }));
    replay.lose();
    replay.answered(response(1));
    expect(shown(replay.rest())).toEqual([ready, ['logging/setLevel', { level: 'error' }]]);
  });

  test('is every subscription that the server has taken, without those that were ended', () => {
    const { replay, done } = world();
    for (const uri of ['a:1', 'a:2', 'a:3', 'a:2']) done('resources/subscribe', { uri });
    done('resources/subscribe', { uri: 'a:4' }, true);
    done('resources/subscribe', { uri: 5 });
    done('resources/unsubscribe', { uri: 'a:1' });
    done('resources/unsubscribe', { uri: 'a:3' }, true);
    expect(shown(replay.rest())).toEqual([
      ready,
      ['resources/subscribe', { uri: 'a:2' }],
      ['resources/subscribe', { uri: 'a:3' }],
    ]);
  });

  test('is nothing that the client has cancelled, whatever the server answers', () => {
    const { replay } = world();
    replay.sending(request(1, 'logging/setLevel', { level: 'debug' }));
    replay.sending(notification('notifications/cancelled', { requestId: 1 }));
    replay.answered(response(1));
    expect(replay.rest()).toHaveLength(1);
  });

  test('is at most 10,000 subscriptions, and the user is told once', () => {
    const { replay, warnings, done } = world();
    for (let i = 0; i < 10_000; i++) done('resources/subscribe', { uri: `a:${i}` });
    expect(warnings).toEqual([]);
    done('resources/subscribe', { uri: 'a:0' });
    expect(warnings).toEqual([]);
    for (const uri of ['b:1', 'b:2']) done('resources/subscribe', { uri });
    expect(warnings).toEqual([
      'a client subscribes to more than 10000 or 4000000 characters of resources: not all will survive a restart of the server',
    ]);
    expect(replay.rest()).toHaveLength(10_001);
    done('resources/unsubscribe', { uri: 'a:1' });
    done('resources/subscribe', { uri: 'b:1' });
    expect(shown(replay.rest()).at(-1)).toEqual(['resources/subscribe', { uri: 'b:1' }]);
  });

  test('is at most four million characters of them', () => {
    const { replay, warnings, done } = world();
    for (let i = 0; i < 2000; i++) done('resources/subscribe', { uri: String(i).padEnd(2000, 'x') });
    expect(warnings).toEqual([]);
    done('resources/subscribe', { uri: 'x' });
    expect([warnings.length, replay.rest().length]).toEqual([1, 2001]);
  });

  test('bears ids of ours, each a new one, that no client can have guessed', () => {
    const { replay, done } = world();
    done('logging/setLevel', { level: 'debug' });
    const ids = [replay.initialize(), ...replay.rest(), ...replay.rest()].flatMap((sent) =>
      sent.kind === 'request' ? [sent.id] : [],
    );
    expect(new Set(ids).size).toBe(3);
    expect([...ids, 'mcp-expose-1', 1].map((id) => replay.isOwn(id))).toEqual([true, true, true, false, false]);
    expect(ids.some((id) => world().replay.isOwn(id))).toBe(false);
  });
});

describe('a refusal of what follows', () => {
  test('is named, the first of each replay', () => {
    const { replay, done } = world();
    for (const uri of ['a:1', 'a:2']) done('resources/subscribe', { uri });
    const refusals = (): unknown[] =>
      replay
        .rest()
        .slice(1)
        .map((sent) => replay.refusal(failedResponse(sent.kind === 'request' ? sent.id : 0)));
    expect(refusals()).toEqual(['resources/subscribe: no', undefined]);
    replay.lose();
    expect(refusals()).toEqual(['resources/subscribe: no', undefined]);
  });

  test('is none when it succeeds, or belongs to an earlier replay', () => {
    const { replay, done } = world();
    done('logging/setLevel', { level: 'debug' });
    const [, first = initialize] = replay.rest();
    const id = first.kind === 'request' ? first.id : 0;
    replay.lose();
    expect(replay.refusal(failedResponse(id))).toBeUndefined();
    const [, second = initialize] = replay.rest();
    expect(replay.refusal(response(second.kind === 'request' ? second.id : 0))).toBeUndefined();
  });
});

test('between two connections, only what the next one can use and is not told anyway waits for it', () => {
  const { replay } = world(false);
  const own = replay.initialize();
  const nowReady = notification('notifications/initialized');
  const cancelled = notification('notifications/cancelled', { requestId: 1 });
  const progress = notification('notifications/progress', { progressToken: 1, progress: 1 });
  for (const given of [own, response(1), cancelled, progress]) expect(replay.replaces(given)).toBe(true);
  for (const given of [request(1), notification('notifications/roots/list_changed')]) {
    expect(replay.replaces(given)).toBe(false);
  }
  expect([replay.rest(), replay.replaces(nowReady), shown(replay.rest())]).toEqual([
    [],
    true,
    [['notifications/initialized', undefined]],
  ]);
});

test('a request without parameters does no harm', () => {
  const { replay } = world();
  for (const method of ['initialize', 'logging/setLevel', 'resources/subscribe']) {
    replay.sending(message({ id: method, method }));
    replay.answered(response(method, { protocolVersion: '2025-11-25' }));
  }
  expect([replay.initialize().json['params'], replay.rest().length]).toEqual([undefined, 1]);
});
