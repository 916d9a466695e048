import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { gather } from '../../../src/platform/bytes.ts';
import { answerEmpty, answerJson } from '../../../src/http/responses/json-response.ts';
import { within } from '../../harness/eventually.ts';
import { protocols, startWeb } from '../web.ts';

/** JSON of exactly so many bytes, most of whose characters take several. */
function bodyOf(size: number): Buffer {
  const letters = 'é€😀'.repeat(Math.floor((size - 2) / 9));
  return Buffer.from(`"${letters}${'x'.repeat(size - 2 - Buffer.byteLength(letters))}"`);
}

describe.each(protocols)('an answer over %s', (protocol) => {
  test.each([2, 100, 4095, 4096, 4097, 100_000])('of %i bytes arrives byte for byte', async (size) => {
    const body = bodyOf(size);
    expect(body).toHaveLength(size);
    const web = await startWeb(protocol, (_request, response) => answerJson(response, 201, body, { 'x-own': 'o' }));
    const { status, headers, stream } = await web.ask();
    const received = await within(15_000, 'the body', buffer(stream));
    expect(received.equals(body)).toBe(true);
    expect(status).toBe(201);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(size),
      'x-own': 'o',
    });
  });

  test('in pieces arrives as one', async () => {
    const pieces = Array.from({ length: 20 }, (_, at) => Buffer.alloc(20_000, String(at)));
    const body = gather(pieces, 400_000);
    expect(body).toHaveProperty('pieces', pieces);
    const web = await startWeb(protocol, (_request, response) => answerJson(response, 200, body));
    const { headers, stream } = await web.ask();
    const received = await within(15_000, 'the body', buffer(stream));
    expect(received.equals(Buffer.concat(pieces))).toBe(true);
    expect(headers).toMatchObject({ 'content-length': '400000' });
  });

  test.each([202, 204] as const)('of nothing is %i', async (expected) => {
    const web = await startWeb(protocol, (_request, response) => answerEmpty(response, expected));
    const { status, body } = await web.ask();
    expect([status, await body()]).toEqual([expected, '']);
  });
});
