import { describe, expect, test } from 'vitest';
import { initialize } from '../bridge/messages.ts';
import { startGateway, token } from './gateway.ts';
import { protocols } from './web.ts';

const origin = 'https://app.example';
const preflight = {
  method: 'OPTIONS',
  path: '/mcp',
  headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
};

describe.each(protocols)('over %s', (protocol) => {
  test('a preflight of an allowed origin is answered before anybody asks for a token', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const { status, headers, body } = await web.ask(preflight);
    expect([status, await body()]).toEqual([204, '']);
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers':
        'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version',
      'access-control-max-age': '600',
      vary: 'Origin',
    });
    expect(headers).not.toHaveProperty('access-control-allow-private-network');
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
  });

  test('a public page may ask for a private address', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const { headers } = await web.ask({
      ...preflight,
      headers: { ...preflight.headers, 'access-control-request-private-network': 'true' },
    });
    expect(headers['access-control-allow-private-network']).toBe('true');
  });

  test('the script of an allowed origin can read the answer and the session id', async () => {
    const { post } = await startGateway(protocol, { allowOrigins: ['https://other.example', origin] });
    const answer = await post(initialize.json, { origin });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After',
      vary: 'Origin',
    });
    expect(answer.headers['mcp-session-id']).toBeDefined();
  });

  test('it can read that its token is wrong, too', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const { status, headers } = await web.ask({ path: '/mcp', headers: { origin, authorization: 'Bearer wrong' } });
    expect([status, headers['access-control-allow-origin']]).toEqual([401, origin]);
  });

  test('OPTIONS that is no preflight is behind the guard', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    expect((await web.ask({ method: 'OPTIONS', path: '/mcp', headers: { origin } })).status).toBe(401);
  });

  test.each([
    'https://app.example:8443',
    'http://app.example',
    'https://app.example.evil.example',
    'https://APP.example',
    'null',
    '*',
  ])('the origin %s is not the allowed one', async (other) => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const answers = [
      await web.ask({ ...preflight, headers: { ...preflight.headers, origin: other } }),
      await web.ask({ path: '/mcp', headers: { origin: other, authorization: `Bearer ${token}` } }),
    ];
    for (const { status, headers } of answers) {
      expect(status).toBe(403);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    }
  });

  test('without allowed origins no answer speaks of them, not even to a loopback page, which is let in', async () => {
    const { post, web } = await startGateway(protocol);
    const loopback = 'http://localhost:6274';
    const answer = await post(initialize.json, { origin: loopback });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, undefined]);
    const { status } = await web.ask({ ...preflight, headers: { ...preflight.headers, origin: loopback } });
    expect(status).toBe(401);
  });
});
