import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { initialize } from '../bridge/messages.ts';
import { atEnd } from '../harness/lifetime.ts';
import { clientHeaders, startGateway, token } from './gateway.ts';
import { protocols, readToEnd, readUntil, type Answer } from './web.ts';

const refusal = (message: string, data?: object): object => ({
  jsonrpc: '2.0',
  id: null,
  error: { code: -32000, message, ...(data === undefined ? {} : { data }) },
});
const needsToken = 'this server needs a bearer token: send "Authorization: Bearer <token>"';
const bearer = { authorization: `Bearer ${token}` };

async function seen(answer: Promise<Answer>): Promise<unknown[]> {
  const { status, headers, body } = await answer;
  return [status, headers['www-authenticate'], await body()];
}

describe.each(protocols)('over %s', (protocol) => {
  describe('the health check', () => {
    test.each(['/healthz', '/healthz?x=1'])('at %s asks for nothing', async (path) => {
      const { web } = await startGateway(protocol);
      const answer = await web.ask({ path });
      expect([answer.status, answer.headers['content-type'], await answer.body()]).toEqual([
        200,
        'application/json',
        '{"status":"ok"}',
      ]);
    });

    test('answers HEAD as well', async () => {
      const { web } = await startGateway(protocol);
      expect(await seen(web.ask({ path: '/healthz', method: 'HEAD' }))).toEqual([200, undefined, '']);
    });

    test.each(['POST', 'DELETE', 'PUT', 'OPTIONS', 'PATCH'])('is not for %s', async (method) => {
      const { web } = await startGateway(protocol);
      expect(await seen(web.ask({ path: '/healthz', method }))).toEqual([
        401,
        'Bearer',
        JSON.stringify(refusal(needsToken)),
      ]);
    });
  });

  describe('everything else is guarded:', () => {
    const paths = [
      '/',
      '//',
      '/mcp',
      '/mcp/',
      '//mcp',
      '/name//mcp/',
      '/name',
      '/sse',
      '//messages?sessionId=x',
      '/healthz/',
      '//healthz',
      '/HEALTHZ',
      '/well-known/x',
      '/.well-knownx',
    ];
    const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

    test.each(paths)('%s, whatever the method', async (path) => {
      const { web, upstreams } = await startGateway(protocol);
      const answers = await Promise.all(methods.map((method) => web.ask({ path, method })));
      expect(answers.map(({ status, headers }) => [status, headers['www-authenticate']])).toEqual(
        methods.map(() => [401, 'Bearer']),
      );
      expect(upstreams).toEqual([]);
    });

    test('a wrong token is told that it is one', async () => {
      const { post, upstreams } = await startGateway(protocol);
      expect(await seen(post(initialize.json, { authorization: 'Bearer wrong' }))).toEqual([
        401,
        'Bearer error="invalid_token"',
        JSON.stringify(refusal('the bearer token is not valid')),
      ]);
      expect(upstreams).toEqual([]);
    });

    test('a session id does not replace the credential', async () => {
      const { post, openSession } = await startGateway(protocol);
      const { headers } = await openSession();
      const { status } = await post({ id: 1, method: 'ping' }, { ...headers, authorization: 'Bearer wrong' });
      expect(status).toBe(401);
    });

    test('a foreign host is refused before the credential is looked at', async () => {
      const { web } = await startGateway(protocol);
      for (const headers of [{ ...bearer }, {}]) {
        // oxlint-disable-next-line no-await-in-loop -- the second time without the credential
        expect(await seen(web.ask({ headers: { ...headers, host: 'evil.example' } }))).toEqual([
          403,
          undefined,
          JSON.stringify(
            refusal('host "evil.example" is not served here', { reason: 'host_not_allowed', host: 'evil.example' }),
          ),
        ]);
      }
    });

    test('a foreign origin is refused', async () => {
      const { post } = await startGateway(protocol);
      expect(await seen(post(initialize.json, { origin: 'https://evil.example' }))).toEqual([
        403,
        undefined,
        JSON.stringify(
          refusal('origin "https://evil.example" is not allowed', {
            reason: 'origin_not_allowed',
            origin: 'https://evil.example',
          }),
        ),
      ]);
      const { status } = await post(initialize.json, { origin: 'http://localhost:5173' });
      expect(status).toBe(200);
    });
  });

  describe('at a well-known path there is nothing, which is told everybody:', () => {
    const paths = [
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-protected-resource/files/mcp',
      '/.well-known/oauth-authorization-server?x=1',
      '/.well-known/openid-configuration',
      '/.well-known/mcp.json',
      '/.well-known/',
      '/.well-known',
      '/mcp/.well-known/openid-configuration',
      '/files/.well-known/oauth-protected-resource',
      '/files/mcp/.well-known/openid-configuration',
    ];

    test.each(paths)('%s', async (path) => {
      const { web, upstreams } = await startGateway(protocol);
      const answers = await Promise.all(
        ['GET', 'POST', 'OPTIONS'].map((method) => seen(web.ask({ path, method, headers: { origin: 'null' } }))),
      );
      const notFound = JSON.stringify(refusal('not found: this server does not use OAuth'));
      expect(answers).toEqual(answers.map(() => [404, undefined, notFound]));
      expect((await web.ask({ path, headers: bearer })).headers['content-type']).toBe('application/json');
      expect(await seen(web.ask({ path, method: 'HEAD' }))).toEqual([404, undefined, '']);
      expect(upstreams).toEqual([]);
    });

    test('a script of an allowed origin can read that', async () => {
      const origin = 'https://app.example';
      const { web } = await startGateway(protocol, { allowOrigins: [origin] });
      const [path = ''] = paths;
      const asked = {
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      };
      const preflight = await web.ask({ path, method: 'OPTIONS', headers: { origin, ...asked } });
      const answer = await web.ask({ path, headers: { origin } });
      expect(
        [preflight, answer].map(({ status, headers }) => [status, headers['access-control-allow-origin']]),
      ).toEqual([
        [204, origin],
        [404, origin],
      ]);
    });
  });

  test.each(['/', '/mcp/x', '/MCP', '/%6dcp', '/mcp%3f', '/favicon.ico'])('there is nothing at %s', async (path) => {
    const { web } = await startGateway(protocol);
    expect(await seen(web.ask({ path, headers: bearer }))).toEqual([
      404,
      undefined,
      JSON.stringify(refusal('not found: the MCP endpoint is /mcp')),
    ]);
  });

  test('a query does not change where a request goes', async () => {
    const { web } = await startGateway(protocol);
    const answer = await web.ask({
      method: 'POST',
      path: '/mcp?session=x#y',
      headers: clientHeaders,
      body: initialize.bytes.toString(),
    });
    expect(answer.status).toBe(200);
  });

  describe('where a client comes from', () => {
    const forged = { 'x-forwarded-for': '203.0.113.66', 'cf-connecting-ip': '203.0.113.66' };

    test('is what the connection says: what a client writes of itself counts for nothing', async () => {
      const { post, reports } = await startGateway(protocol);
      await (await post(initialize.json, forged)).body();
      // Through the tunnel, the connection says nothing of a client.
      expect(reports.map(({ client }) => client)).toEqual([protocol === 'the tunnel' ? undefined : '127.0.0.1']);
    });

    test('is what the hop in front has written last, and nothing before it', async () => {
      const { post, reports } = await startGateway(protocol, { hopHeader: 'x-forwarded-for' });
      for (const value of ['203.0.113.66, 198.51.100.1', ['203.0.113.66', '198.51.100.2'], '198.51.100.3, x']) {
        await (await post(initialize.json, { 'x-forwarded-for': value })).body(); // oxlint-disable-line no-await-in-loop
      }
      await (await post(initialize.json, { 'cf-connecting-ip': '203.0.113.66' })).body();
      expect(reports.map(({ client }) => client)).toEqual(['198.51.100.1', '198.51.100.2', undefined, undefined]);
    });
  });

  test('a caller who has to wait is told for how long, in a JSON-RPC error', async () => {
    const { web, post } = await startGateway(protocol, {
      guard: { guessLimit: { count: () => 6 }, requestLimit: { count: () => 2 } },
    });
    const wrong = await web.ask({ path: '/mcp', headers: { authorization: 'Bearer wrong' } });
    expect([wrong.status, wrong.headers['retry-after'], wrong.headers['www-authenticate']]).toEqual([
      429,
      '6',
      undefined,
    ]);
    const right = await post(initialize.json);
    expect([right.status, right.headers['retry-after'], JSON.parse(await right.body())]).toEqual([
      429,
      '2',
      refusal('too many requests', { reason: 'too_many_requests' }),
    ]);
  });

  describe('where streams that answer a GET do not get through', () => {
    test.each([
      ['/mcp', 'POST, DELETE', 'streams that answer a GET do not get through this tunnel'],
      ['/sse', '', 'use Streamable HTTP, at /mcp'],
    ])('GET %s is refused with 405, and what is allowed', async (path, allow, message) => {
      const { web } = await startGateway(protocol, { hasGetStreams: () => false });
      const answer = await web.ask({ path, headers: { ...bearer, accept: 'text/event-stream' } });
      expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
      expect(await answer.body()).toContain(message);
    });

    test('not to who may not come in, and everything else goes on', async () => {
      const { web, post, openSession } = await startGateway(protocol, { hasGetStreams: () => false });
      expect((await web.ask({ path: '/mcp' })).status).toBe(401);
      const { headers } = await openSession();
      expect((await post({ method: 'notifications/initialized' }, headers)).status).toBe(202);
      const ended = await web.ask({ method: 'DELETE', headers: { ...bearer, ...headers } });
      expect(ended.status).toBe(204);
      expect((await web.ask({ path: '/readyz', headers: bearer })).status).toBe(200);
    });

    test('it counts what is so at the time', async () => {
      let hasGetStreams = true;
      const { get, openSession } = await startGateway(protocol, { hasGetStreams: () => hasGetStreams });
      const { headers } = await openSession();
      const stream = await get(headers);
      hasGetStreams = false;
      const refused = await get(headers);
      expect([stream.status, refused.status]).toEqual([200, 405]);
      stream.hangUp();
    });
  });

  test('without a token everybody may come in, from the right host', async () => {
    const { web } = await startGateway(protocol, { token: undefined });
    const { accept, 'content-type': type } = clientHeaders;
    const question = {
      method: 'POST',
      body: initialize.bytes.toString(),
      headers: { accept: accept ?? '', 'content-type': type ?? '' },
    };
    expect((await web.ask(question)).status).toBe(200);
  });

  test('a refusal does not wait for a body that never comes', async () => {
    const { web } = await startGateway(protocol);
    const body = new Readable({ read() {} });
    const answer = await web.ask({ method: 'POST', headers: { 'content-length': '1000000' }, body });
    expect([answer.status, await answer.json()]).toEqual([401, refusal(needsToken)]);
    body.destroy();
  });

  test('a refusal reaches its client though the client goes on sending', async () => {
    const { web } = await startGateway(protocol);
    const body = Readable.from(endlessly(Buffer.alloc(64 * 1024)));
    atEnd('test', () => void body.destroy());
    const answer = await web.ask({ method: 'POST', body });
    expect([answer.status, await answer.json()]).toEqual([401, refusal(needsToken)]);
  });
});

/** Leaves the others their turn: whoever writes to a connection that is gone is not held back by anything. */
async function* endlessly(chunk: Buffer): AsyncGenerator<Buffer> {
  for (;;) {
    yield chunk;
    // oxlint-disable-next-line no-await-in-loop -- one chunk per turn of the event loop
    await new Promise(setImmediate);
  }
}

/** A connection on which the test writes what it likes. */
async function raw(): Promise<Socket> {
  const { web } = await startGateway('HTTP/1.1');
  const socket = connect(web.port, '127.0.0.1');
  atEnd('test', () => void socket.destroy());
  return socket;
}

describe('connections of HTTP/1.1', () => {
  test('two Host headers are refused', async () => {
    const socket = await raw();
    socket.write(
      `GET /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    const answer = await readUntil(socket, 'more than one Host header');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('two credentials are refused, also when both are right', async () => {
    const socket = await raw();
    const credential = `Authorization: Bearer ${token}`;
    socket.write(`GET /mcp HTTP/1.1\r\nHost: localhost\r\n${credential}\r\n${credential}\r\n\r\n`);
    const answer = await readUntil(socket, 'more than one Authorization header');
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*www-authenticate: Bearer error="invalid_request"/is);
  });

  test('a missing Host header is refused', async () => {
    const socket = await raw();
    socket.write(`GET /mcp HTTP/1.0\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    const answer = await readUntil(socket, 'no Host header');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('one can be used again after a request without a body was refused', async () => {
    const socket = await raw();
    for (const method of ['GET', 'DELETE', 'GET']) {
      socket.write(`${method} /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      // oxlint-disable-next-line no-await-in-loop -- the next request follows the answer
      const answer = await readUntil(socket, needsToken.replaceAll('"', String.raw`\"`));
      expect(answer).toMatch(/^HTTP\/1\.1 401 /);
      expect(answer).not.toMatch(/connection: close/i);
    }
  });

  test('one can be used again after a request whose whole body came at once was refused', async () => {
    const socket = await raw();
    for (const attempt of [1, 2]) {
      socket.write(
        `POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]`,
      );
      // oxlint-disable-next-line no-await-in-loop -- the next request follows the answer
      const answer = await readUntil(socket, 'the message is an empty array');
      expect([attempt, answer]).toEqual([attempt, expect.not.stringMatching(/connection: close/i)]);
    }
  });

  test('one whose refused body has come after all is closed, with the whole answer', async () => {
    const socket = await raw();
    const ended = readToEnd(socket);
    const size = 1024 * 1024;
    socket.write(`POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size, ' '));
    expect((await ended).split('\r\n\r\n')[1]).toBe(JSON.stringify(refusal(needsToken)));
  });

  test('one with a large body that was refused gets its answer and is closed', async () => {
    const socket = await raw();
    const ended = readToEnd(socket);
    socket.write('POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n');
    socket.write(Buffer.alloc(1024 * 1024));
    const answer = await ended;
    expect(answer).toMatch(/^HTTP\/1\.1 401 .*connection: close/is);
    expect(answer).toContain(JSON.stringify(refusal(needsToken)));
  });
});

test.each(['host', 'authorization'])('through the tunnel two %s headers are refused, too', async (name) => {
  const { web } = await startGateway('the tunnel');
  const value = name === 'host' ? '127.0.0.1' : `Bearer ${token}`;
  const refused = await web.ask({ headers: { authorization: `Bearer ${token}`, [name]: [value, value] } });
  expect([refused.status, await refused.body()]).toEqual([400, expect.stringMatching(/more than one/)]);
});

test('through the tunnel a refused request ends, and the others go on', async () => {
  const { web, post } = await startGateway('the tunnel');
  const body = new Readable({ read() {} });
  body.push(Buffer.alloc(64 * 1024));
  const refused = await web.ask({ method: 'POST', body });
  const ended = new Promise<void>((resolve) => {
    refused.stream.once('close', resolve);
  });
  expect(refused.status).toBe(401);
  refused.stream.resume();
  await ended;
  expect((await post(initialize.json)).status).toBe(200);
  body.destroy();
});
