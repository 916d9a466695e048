import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { servedPair, servedRequest, type RequestOptions } from './served-pair.ts';

const kib = 1024;

/** What happens to the response is in `events`. */
async function received(options: RequestOptions = {}) {
  const served = await servedRequest(options);
  const events: string[] = [];
  for (const event of ['drain', 'close', 'error']) served.response.on(event, () => events.push(event));
  return { ...served, events };
}

/** The head that the relay has received. */
function headOf({ events }: { readonly events: readonly string[] }): unknown {
  return JSON.parse(events[0]?.replace('head ', '') ?? '');
}

describe('the head', () => {
  test('has the headers of setHeader and writeHead; names are in lower case, the last value counts', async () => {
    const { response, call, over } = await received();
    response.setHeader('X-One', 'first');
    response.setHeader('x-one', 'second');
    response.setHeader('Content-Type', 'text/html');
    expect([response.headersSent, response.statusCode]).toEqual([false, 200]);
    response.writeHead(207, { 'content-type': 'text/plain', 'Content-Length': 0, 'x-not': undefined });
    expect([response.headersSent, response.statusCode]).toEqual([true, 207]);
    response.end();
    await over(call);
    const headers = ['x-one', 'second', 'content-type', 'text/plain', 'content-length', '0'];
    expect(headOf(call)).toEqual({ status: 207, headers });
  });

  test('may repeat a header', async () => {
    const { response, call, over } = await received();
    response.writeHead(200, { 'Set-Cookie': ['a=b', 'c=d'], 'x-list': ['one'] });
    response.end();
    await over(call);
    const headers = ['set-cookie', 'a=b', 'set-cookie', 'c=d', 'x-list', 'one'];
    expect(headOf(call)).toEqual({ status: 200, headers });
  });

  test.each(['write', 'end', 'end with text'])('is 200 without writeHead: %s', async (how) => {
    const { response, call, over } = await received();
    response.setHeader('x', 'y');
    if (how === 'write') response.write('text');
    if (how === 'end with text') response.end('text');
    else response.end();
    await over(call);
    expect(headOf(call)).toEqual({ status: 200, headers: ['x', 'y'] });
    expect(call.body.toString()).toBe(how === 'end' ? '' : 'text');
  });

  test('has the statusCode that was set', async () => {
    const { response, call, over } = await received();
    response.statusCode = 404;
    response.end('no');
    await over(call);
    expect(headOf(call)).toEqual({ status: 404, headers: [] });
  });

  test('is sent once', async () => {
    const { response, call, over } = await received();
    response.writeHead(200, { x: '1' });
    response.writeHead(500, { x: '2' });
    response.end();
    await over(call);
    expect([headOf(call), response.statusCode]).toEqual([{ status: 200, headers: ['x', '1'] }, 200]);
    expect(call.events).toHaveLength(3);
  });

  test('is sent without a body that follows', async () => {
    const { response, call, until } = await received();
    response.writeHead(200, {});
    await until(() => call.events.length > 0, 'the head');
    expect(call.events).toEqual(['head {"status":200,"headers":[]}']);
  });

  test('that is too large resets the stream', async () => {
    const { response, call, over, events, agent, faults } = await received();
    response.writeHead(200, { x: 'x'.repeat(65_528) });
    response.end('body');
    await over(call);
    expect([call.events, events, agent.size, faults]).toEqual([['close 2'], ['close'], 0, []]);
  });
});

describe('the body', () => {
  test('is text in any encoding, or bytes, in order', async () => {
    const { response, call, over } = await received();
    response.cork();
    response.write('caf\u00e9 ', 'latin1');
    response.write('caf\u00e9 ');
    response.write(Buffer.from([0, 255]));
    response.write('');
    response.uncork();
    response.end('\u00e9', 'latin1');
    await over(call);
    expect(call.body).toEqual(
      Buffer.concat([Buffer.from('caf\u00e9 ', 'latin1'), Buffer.from('caf\u00e9 \u0000'), Buffer.from([255, 0xe9])]),
    );
  });

  test('waits for the window of the stream: writableLength and drain say so', async () => {
    const { response, call, until, over, events } = await received();
    call.consumes = false;
    expect([response.write(Buffer.alloc(600 * kib)), response.writableLength]).toEqual([false, 600 * kib]);
    await until(() => call.bytes === 512 * kib, 'a window');
    expect([response.writableLength, events]).toEqual([88 * kib, []]);
    call.consume();
    await until(() => events.length > 0, 'drain');
    expect([response.writableLength, events]).toEqual([0, ['drain']]);
    expect(response.write('more')).toBe(true);
    response.end();
    call.consumes = true;
    await over(call);
    expect([call.bytes, events]).toEqual([600 * kib + 4, ['drain', 'close']]);
  });

  test('waits for the carrier', async () => {
    const { response, call, toRelay, until, agent, events } = await received();
    toRelay.isWritable = false;
    response.write(Buffer.alloc(100 * kib));
    agent.flush();
    expect([response.writableLength, events]).toEqual([100 * kib, []]);
    toRelay.isWritable = true;
    await until(() => call.bytes === 100 * kib, 'the body');
    expect([response.writableLength, events]).toEqual([0, ['drain']]);
  });

  test('of 10 MB arrives as it was written', async () => {
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => (at * 7) % 253));
    const { response, call, over } = await received();
    for (let count = 0; count < 10; count += 1) response.write(bytes);
    response.end();
    await over(call);
    expect(call.body.equals(Buffer.concat(Array.from({ length: 10 }, () => bytes)))).toBe(true);
  });

  test('takes nothing after its end', async () => {
    const { response, call, over } = await received();
    response.end('all');
    response.write('late');
    response.end('later');
    await over(call);
    response.end('latest');
    expect([call.body.toString(), response.writableLength]).toEqual(['all', 0]);
  });
});

describe('close', () => {
  test('comes once, when all has been sent', async () => {
    const { response, call, over, toRelay, agent, events } = await received();
    toRelay.isWritable = false;
    response.end('all');
    agent.flush();
    await nextTurn();
    expect(events).toEqual([]);
    toRelay.isWritable = true;
    await over(call);
    response.end();
    response.destroy();
    response.close();
    await nextTurn();
    expect([events, call.events.at(-1)]).toEqual([['close'], 'close']);
  });

  test.each(['before the head', 'in the body', 'after the end'])('comes once when the client goes %s', async (when) => {
    const { response, call, toRelay, until, agent, faults, events } = await received();
    if (when !== 'before the head') response.write('part');
    await until(() => when === 'before the head' || call.bytes > 0, 'the part');
    toRelay.isWritable = when !== 'after the end';
    if (when === 'after the end') response.end('rest');
    call.reset(0);
    await until(() => events.length > 0, 'the close');
    toRelay.isWritable = true;
    response.write('late');
    response.end();
    response.destroy();
    agent.flush();
    await nextTurn();
    expect([events, toRelay.messages, response.writableLength, agent.size, faults]).toEqual([['close'], [], 0, 0, []]);
  });

  test('comes once when the session is lost', async () => {
    const { response, agent, events } = await received();
    response.write(Buffer.alloc(100));
    agent.close();
    expect(events).toEqual(['close']);
    response.end();
    response.destroy();
    expect([events, response.writableLength]).toEqual([['close'], 0]);
  });
});

describe('destroy', () => {
  test.each(['before the head', 'in the body', 'before the end was sent'])('%s resets the stream', async (when) => {
    const { response, call, over, until, toRelay, agent, events } = await received();
    if (when !== 'before the head') response.write('part');
    await until(() => when === 'before the head' || call.bytes > 0, 'the part');
    toRelay.isWritable = false;
    if (when === 'before the end was sent') response.end('rest');
    response.destroy();
    response.destroy();
    response.end('late');
    toRelay.isWritable = true;
    await over(call);
    expect([call.events.at(-1), events, agent.size]).toEqual(['close 2', ['close'], 0]);
    expect(call.body.toString()).toBe(when === 'before the head' ? '' : 'part');
  });

  test('of a response that was sent does nothing', async () => {
    const { response, call, over } = await received();
    response.end('all');
    await over(call);
    response.destroy();
    await nextTurn();
    expect(call.events).toEqual(['head {"status":200,"headers":[]}', 'data', 'end', 'close']);
  });
});

describe('a handler', () => {
  test('that throws fails its own request only', async () => {
    const closed: string[] = [];
    const { send, over, agent, until, faults } = servedPair((request, response) => {
      for (const [name, each] of Object.entries({ request, response })) {
        each.once('close', () => closed.push(`${name} ${request.url}`));
      }
      if (request.url === '/bad') throw new Error('broken');
      response.end('fine');
    });
    const [bad, fine] = [send({ path: '/bad', body: undefined }), send({ path: '/fine' })];
    await over(bad);
    await over(fine);
    expect([bad.events, fine.body.toString()]).toEqual([['close 2'], 'fine']);
    bad.stream.write(Buffer.from('late'));
    await until(() => closed.length === 3, 'the end of both');
    // Nobody has read the other request.
    expect(closed.toSorted()).toEqual(['request /bad', 'response /bad', 'response /fine']);
    expect([agent.size, faults]).toEqual([0, []]);
  });

  test('may respond and destroy in the moment of the request', async () => {
    const { send, over } = servedPair((request, response) => {
      if (request.url === '/destroyed') response.destroy();
      else response.end(request.url);
    });
    const [destroyed, fine] = [send({ path: '/destroyed', body: 'body' }), send({ path: '/fine' })];
    await over(destroyed);
    await over(fine);
    expect([destroyed.events, fine.body.toString()]).toEqual([['close 2'], '/fine']);
  });
});
