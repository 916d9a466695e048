import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { readBody, type Body } from '../../src/http/body.ts';
import { gate } from '../harness/gate.ts';
import { protocols, startWeb, type Protocol, type Question } from './web.ts';

/** What `readBody` makes of a request. */
async function read(protocol: Protocol, maxBytes: number, question: Question): Promise<Body> {
  let result: Body = 'cut off';
  const web = await startWeb(protocol, (request, response) => {
    void answer();
    async function answer(): Promise<void> {
      result = await readBody(request, maxBytes);
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
        result = await readBody(request, 1000);
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
        results.push(await readBody(request, 1000));
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
});
