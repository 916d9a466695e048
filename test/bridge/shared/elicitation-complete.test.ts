// The end of an elicitation of which a server speaks that several sessions share.
import { describe, expect, test } from 'vitest';
import { failedResponse, notification, request } from '../messages.ts';
import { answered, idIn, sharedWorld } from './world.ts';

const everything = { roots: {}, sampling: {}, elicitation: {} };
const complete = (elicitationId: unknown) => notification('notifications/elicitation/complete', { elicitationId });
const ask = (params: object) => request(5, 'elicitation/create', params);

describe('that an elicitation is complete is told to', () => {
  test('the session that was asked', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(everything), await world.join(everything)];
    b.upstream.send(request(1));
    world.server().say(ask({ elicitationId: 'e1' }), idIn(world.sent()[0]));
    b.take();
    world.server().say(complete('e1'));
    expect([a.take(), b.take().length]).toEqual([[], 1]);
  });

  test('the session whose call it kept from going on', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    a.upstream.send(request(1));
    const data = { elicitations: [{ mode: 'url', elicitationId: 'e1' }, { elicitationId: 'e2' }, 7, null] };
    world.server().say(failedResponse(idIn(world.sent()[0]), { code: -32042, message: 'visit', data }));
    a.take();
    world.server().say(complete('e2'));
    world.server().say(complete('e1'));
    expect([a.take().length, b.take()]).toEqual([2, []]);
  });

  test('the first who had it, when a server uses a name twice', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    for (const client of [a, b]) {
      client.upstream.send(request(1));
      const data = { elicitations: [{ elicitationId: 'e' }] };
      world.server().say(failedResponse(idIn(world.sent()[0]), { code: -32042, message: 'visit', data }));
      client.take();
    }
    world.server().say(complete('e'));
    expect([a.take().length, b.take()]).toEqual([1, []]);
  });

  test('nobody, when it was of a connection that is no more', async () => {
    const world = sharedWorld();
    const a = await world.join(everything);
    world.server().say(ask({ elicitationId: 'e' }));
    a.take();
    world.server().lose();
    world.server().say(complete('e'));
    expect(a.take()).toEqual([]);
  });

  test('nobody, when nobody knows of it', async () => {
    const world = sharedWorld();
    const [a, b] = [await world.join(), await world.join()];
    for (const id of ['e', 7, undefined]) world.server().say(complete(id));
    b.upstream.send(request(1));
    const data = { elicitations: [{ elicitationId: 'e' }] };
    world.server().say(failedResponse(idIn(world.sent()[0]), { code: -32042, message: 'visit', data }));
    await b.upstream.close();
    b.take();
    world.server().say(complete('e'));
    await answered();
    expect([a.take(), b.take()]).toEqual([[], []]);
  });

  test('as many as a thousand are remembered, the oldest is forgotten', async () => {
    const world = sharedWorld();
    const a = await world.join();
    a.upstream.send(request(1));
    const elicitations = Array.from({ length: 1001 }, (_, n) => ({ elicitationId: `e${n}` }));
    elicitations.push({ elicitationId: 'x'.repeat(1025) });
    const error = { code: -32042, message: 'visit', data: { elicitations } };
    world.server().say(failedResponse(idIn(world.sent()[0]), error));
    a.take();
    for (const id of ['e0', 'x'.repeat(1025), 'e1', 'e1000']) world.server().say(complete(id));
    expect(a.take()).toHaveLength(2);
  });
});
