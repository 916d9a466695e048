import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { initialize } from '../bridge/messages.ts';
import { clientHeaders, startGateway, verdict, type Refusal } from './gateway.ts';
import { protocols } from './web.ts';

describe.each(protocols)('a POST over %s', (protocol) => {
  test.each([undefined, 'text/plain', 'application/jsonp'])('with the Content-Type %j: 415', async (type) => {
    const { web } = await startGateway(protocol);
    const { authorization, accept } = clientHeaders;
    const headers = {
      authorization: authorization ?? '',
      accept: accept ?? '',
      ...(type === undefined ? {} : { 'content-type': type }),
    };
    expect(await verdict(await web.ask({ method: 'POST', headers, body: '{}' }))).toEqual([415, -32000, null]);
  });

  test.each(['gzip', 'br', 'deflate, identity', 'GZIP'])('with Content-Encoding %s: 415', async (coding) => {
    const { post } = await startGateway(protocol);
    const refused = await post(initialize.json, { 'content-encoding': coding });
    expect(refused.headers['accept-encoding']).toBe('identity');
    const { error } = await refused.json<Refusal>();
    expect([refused.status, error.code]).toEqual([415, -32000]);
    expect(error.message).toMatch(/^the body is compressed \(Content-Encoding: .*\): send it uncompressed$/);
  });

  test('when it is too large: 413, announced or not', async () => {
    const { post } = await startGateway(protocol, { maxBodyBytes: 1000 });
    const announced = await post('x'.repeat(1001), { 'content-length': '1001' });
    expect(await verdict(announced)).toEqual([413, -32000, null]);
    const counted = await post('', {}, { body: Readable.from(['x'.repeat(600), 'x'.repeat(600)]) });
    expect(await verdict(counted)).toEqual([413, -32000, null]);
  });

  test.each<[string, string | Buffer, number, unknown]>([
    ['nothing', '', -32700, null],
    ['no JSON', 'hello', -32700, null],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), -32700, null],
    ['an empty array', '[]', -32600, null],
    ['nested too deep', `{"a":${'['.repeat(600)}${']'.repeat(600)}}`, -32600, null],
    ['no JSON-RPC, but with an id', '{"id":"seven","method":"ping"}', -32600, 'seven'],
  ])('when it is %s: 400', async (_what, body, code, id) => {
    const { post, upstreams } = await startGateway(protocol);
    expect(await verdict(await post('', {}, { body }))).toEqual([400, code, id]);
    expect(upstreams).toEqual([]);
  });

  test.each(['identity', 'Identity', ''])('with Content-Encoding %j is served', async (coding) => {
    const { post } = await startGateway(protocol);
    expect((await post(initialize.json, { 'content-encoding': coding })).status).toBe(200);
  });
});
