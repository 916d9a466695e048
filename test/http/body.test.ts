import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { piecesOf } from '../../src/platform/bytes.ts';
import { createBodyReader, type Body, type BodyReader } from '../../src/http/body.ts';
import type { HttpRequest } from '../../src/http/message.ts';
import { gate } from '../harness/gate.ts';
import { protocols, startWeb, type Handler, type Protocol, type Question } from './web.ts';

function readBody(bodies: BodyReader, request: HttpRequest, onPiece?: (piece: Buffer) => void): Promise<Body> {
  return new Promise((resolve) => bodies.read(request, resolve, onPiece));
}

/** What a reader makes of a request. */
async function read(
  protocol: Protocol,
  maxBytes: number,
  question: Question,
  onPiece?: (piece: Buffer) => void,
): Promise<Body> {
  let result: Body = 'cut off';
  const web = await startWeb(protocol, (request, response) => {
    void answer();
    async function answer(): Promise<void> {
      result = await readBody(createBodyReader({ maxBytes }), request, onPiece);
      request.resume();
      response.writeHead(200, {});
      response.end();
    }
  });
  await web.ask({ method: 'POST', ...question });
  return result;
}

describe.each(protocols)('over %s', (protocol) => {
  test.each([
    ['nothing', ''],
    ['a little', 'é 😀'],
    ['exactly what is allowed', 'x'.repeat(100_000)],
  ])('a body of %s is read whole', async (_what, body) => {
    expect((await read(protocol, 100_000, { body })).toString()).toBe(body);
  });

  test('a request without a body has an empty one', async () => {
    expect(await read(protocol, 10, { method: 'DELETE' })).toEqual(Buffer.alloc(0));
  });

  test('many chunks are put together', async () => {
    const chunks = Array.from({ length: 500 }, (_, index) => `${index},`);
    expect((await read(protocol, 100_000, { body: Readable.from(chunks) })).toString()).toBe(chunks.join(''));
  });

  test('a large one is told of piece by piece, as it comes, and stays in its pieces', async () => {
    const content = 'é'.repeat(500_000);
    const told: Buffer[] = [];
    const body = await read(protocol, 2_000_000, { body: content }, (piece) => told.push(piece));
    expect(Buffer.concat(told).toString()).toBe(content);
    expect(body.toString()).toBe(content);
    const pieces = typeof body === 'string' ? [] : piecesOf(body);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces).toEqual(told);
  });

  test('one byte too much is too large, whether announced or counted', async () => {
    expect(await read(protocol, 1000, { body: 'x'.repeat(1001), headers: { 'content-length': '1001' } })).toBe(
      'too large',
    );
    expect(await read(protocol, 1000, { body: Readable.from(['x'.repeat(500), 'x'.repeat(501)]) })).toBe('too large');
  });

  test('an announced size that is too large is refused before a byte of it has come', async () => {
    const { opened, open } = gate();
    const body = new Readable({ read() {} });
    let result: Body | undefined;
    const web = await startWeb(protocol, (request, response) => {
      void refuseIt();
      async function refuseIt(): Promise<void> {
        result = await readBody(createBodyReader({ maxBytes: 1000 }), request);
        open();
        response.writeHead(413, {});
        response.end();
      }
    });
    const asked = web.ask({ method: 'POST', headers: { 'content-length': '1001' }, body });
    await opened;
    expect(result).toBe('too large');
    expect((await asked).status).toBe(413);
    body.push(null);
  });

  test('a body that ends too early is cut off', async () => {
    const { opened, open } = gate();
    const results: Body[] = [];
    const begun = gate();
    const web = await startWeb(protocol, (request) => {
      request.on('error', () => {});
      request.once('data', begun.open);
      void keep();
      async function keep(): Promise<void> {
        results.push(await readBody(createBodyReader({ maxBytes: 1000 }), request));
        open();
      }
    });
    const body = new Readable({ read() {} });
    const answer = web.ask({ method: 'POST', headers: { 'content-length': '900' }, body }).catch(() => undefined);
    body.push('half of ');
    await begun.opened;
    body.destroy();
    web.hangUpAll();
    await opened;
    await answer;
    expect(results).toEqual(['cut off']);
  });

  test('bodies that are too large together are read one after the other', async () => {
    const bodies = createBodyReader({ maxBytes: 1_000_000, maxTotalBytes: 1_000_000 });
    const seen: string[] = [];
    const parts = Array.from({ length: 8 }, () => 'x'.repeat(50_000));
    const begun = gate();
    const web = await startWeb(protocol, (request, response) => {
      void answer();
      async function answer(): Promise<void> {
        const name = String(request.headers['x-name']);
        begun.open();
        const body = await readBody(bodies, request);
        seen.push(`${name}: ${body.length}`);
        response.writeHead(200, {});
        response.end();
      }
    });
    const slow = new Readable({ read() {} });
    const first = web.ask({ method: 'POST', headers: { 'x-name': 'slow', 'content-length': '600000' }, body: slow });
    await begun.opened;
    // One that tells its size, and one that does not.
    const second = web.ask({
      method: 'POST',
      headers: { 'x-name': 'waits', 'content-length': '500000' },
      body: 'x'.repeat(500_000),
    });
    const third = web.ask({ method: 'POST', headers: { 'x-name': 'waits too' }, body: Readable.from(parts) });
    await web.ask({ method: 'POST', headers: { 'x-name': 'small' }, body: 'x'.repeat(1000) });
    expect(seen).toEqual(['small: 1000']);
    slow.push('x'.repeat(600_000));
    slow.push(null);
    await Promise.all([first, second, third]);
    expect(seen.slice(0, 2)).toEqual(['small: 1000', 'slow: 600000']);
    expect(seen.slice(2).toSorted()).toEqual(['waits too: 400000', 'waits: 500000']);
  });

  test('one whose client leaves while it waits takes no room', async () => {
    const bodies = createBodyReader({ maxBytes: 1_000_000, maxTotalBytes: 1_000_000 });
    const results: Body[] = [];
    const left = gate();
    const arrived = gate();
    let arrivals = 0;
    const handler: Handler = (request, response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      if (++arrivals === 2) arrived.open();
      void answer();
      async function answer(): Promise<void> {
        const body = await readBody(bodies, request);
        results.push(body);
        if (results.length === 2) left.open();
        if (body === 'cut off') return;
        response.writeHead(200, {});
        response.end();
      }
    };
    const web = await startWeb(protocol, handler);
    const both = [1, 2].map(() => {
      const body = new Readable({ read() {} });
      body.push('x');
      return web.ask({ method: 'POST', headers: { 'content-length': '900000' }, body }).catch(() => undefined);
    });
    await arrived.opened;
    web.hangUpAll();
    await Promise.all([...both, left.opened]);
    const next = await startWeb(protocol, handler);
    const answer = await next.ask({ method: 'POST', body: 'x'.repeat(900_000) });
    expect([answer.status, results.slice(0, 2)]).toEqual([200, ['cut off', 'cut off']]);
  });
});
