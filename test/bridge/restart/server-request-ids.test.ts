import { describe, expect, test } from 'vitest';
import type { Bytes } from '../../../src/platform/bytes.ts';
import { ServerRequestIds } from '../../../src/bridge/restart/server-request-ids.ts';
import { message, notification, request, response } from '../messages.ts';

const ask = (id: string | number) => request(id, 'sampling/createMessage', { n: 1 });
const shown = (seen: { readonly bytes: Bytes } | undefined): unknown =>
  seen === undefined ? undefined : JSON.parse(seen.bytes.toString());

test('on the first connection everything is as it came', () => {
  const came = ask(1);
  const ids = new ServerRequestIds();
  expect([ids.toClient(came), ids.toServer(response(1))]).toMatchObject([came, { id: 1 }]);
});

describe('on a later connection', () => {
  test('an ask has an id of ours, and its answer the id of the server, as that wrote it', () => {
    const ids = new ServerRequestIds('ours-2-');
    const seen = ids.toClient(message({ id: 7, method: 'roots/list' }));
    expect([shown(seen), seen]).toMatchObject([{ id: 'ours-2-1', method: 'roots/list' }, { id: 'ours-2-1' }]);
    const answer = ids.toServer(response('ours-2-1', { roots: [] }));
    expect([shown(answer), answer]).toMatchObject([{ id: 7, result: { roots: [] } }, { id: 7 }]);
  });

  test('the answer to an ask of another connection goes nowhere, nor does a second answer', () => {
    const ids = new ServerRequestIds('ours-2-');
    ids.toClient(ask(1));
    expect(ids.toServer(response(1))).toBeUndefined();
    expect(ids.toServer(response('ours-1-1'))).toBeUndefined();
    expect(ids.toServer(response('ours-2-1'))).toBeDefined();
    expect(ids.toServer(response('ours-2-1'))).toBeUndefined();
  });

  test('7 and "7" are two asks', () => {
    const ids = new ServerRequestIds('p');
    ids.toClient(ask(7));
    ids.toClient(ask('7'));
    expect([shown(ids.toServer(response('p1'))), shown(ids.toServer(response('p2')))]).toMatchObject([
      { id: 7 },
      { id: '7' },
    ]);
  });

  test('a withdrawal names the ask as the client knows it', () => {
    const ids = new ServerRequestIds('p');
    ids.toClient(ask(1));
    ids.toClient(ask(2));
    const withdrawal = ids.toClient(notification('notifications/cancelled', { requestId: 2, reason: 'late' }));
    expect([shown(withdrawal), withdrawal.json['params']]).toMatchObject([
      { params: { requestId: 'p2', reason: 'late' } },
      { requestId: 'p2', reason: 'late' },
    ]);
    expect(ids.toServer(response('p2'))).toBeUndefined();
  });

  test('other messages pass as they are', () => {
    const ids = new ServerRequestIds('p');
    const log = notification('notifications/message');
    const call = request(1);
    expect([ids.toClient(log), ids.toClient(response(3)), ids.toServer(call)]).toMatchObject([log, { id: 3 }, call]);
  });

  test('no more than 2000 are kept', () => {
    const ids = new ServerRequestIds('p');
    for (let id = 1; id <= 2001; id++) ids.toClient(ask(id));
    expect(ids.toServer(response('p1'))).toBeUndefined();
    expect(ids.toServer(response('p2'))).toBeDefined();
  });
});
