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
        'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name',
      'access-control-max-age': '600',
      vary: 'Origin',
    });
    expect(headers).not.toHaveProperty('access-control-allow-private-network');
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
  });

  test.each([
    // What docs/tunnels.md tells clients to send, W3C Trace Context and its like, later revisions, gateways in front.
    ['ngrok-skip-browser-warning', 'x-tunnel-skip-antiphishing-page', 'skip_zrok_interstitial', 'x-pinggy-no-screen'],
    ['serveo-skip-browser-warning', 'bypass-tunnel-reminder', 'traceparent', 'tracestate', 'baggage', 'sentry-trace'],
    ['Mcp-Param-Region', 'mcp-param-x', 'x-request-id', 'cf-access-client-id', 'x-api-key'],
  ])('every header that is asked for is allowed: %s …', async (...names) => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    for (const path of ['/mcp', '/sse', '/messages', '/readyz', '/files/mcp', '/']) {
      // oxlint-disable-next-line no-await-in-loop -- one path after the other
      const { status, headers } = await web.ask({
        ...preflight,
        path,
        headers: { ...preflight.headers, 'access-control-request-headers': `authorization,${names.join(', ')}` },
      });
      expect(status).toBe(204);
      expect(String(headers['access-control-allow-headers']).split(', ')).toEqual(
        expect.arrayContaining(['Authorization', 'Content-Type', ...names]),
      );
    }
  });

  test('but no credential for somebody else, nothing that is no name, and not without end', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const many = Array.from({ length: 500 }, (_, index) => `x-${index}`);
    const asked = [
      'Cookie',
      'PROXY-AUTHORIZATION',
      'set-cookie',
      'a b',
      'x:y',
      '*/*',
      'y'.repeat(200),
      'x-good',
      ...many,
    ];
    const { headers } = await web.ask({
      ...preflight,
      headers: { ...preflight.headers, 'access-control-request-headers': asked.join(',') },
    });
    const own =
      'Authorization, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name';
    const further = ['x-good', ...many].slice(0, 64);
    expect(headers['access-control-allow-headers']).toBe([own, ...further].join(', '));
  });

  test('the health checks can be read by a script, too', async () => {
    const { web } = await startGateway(protocol, { allowOrigins: [origin] });
    const answers = await Promise.all(['/healthz', '/readyz'].map((path) => web.ask({ path, headers: { origin } })));
    expect(answers.map(({ status, headers }) => [status, headers['access-control-allow-origin']])).toEqual([
      [200, origin],
      [200, origin],
    ]);
  });

  test.each(['tauri://localhost', 'chrome-extension://abcdefgh', 'https://team.app.example'])(
    'the origin %s is allowed by the guard and by CORS alike',
    async (from) => {
      const allowOrigins = ['TAURI://localhost/', 'chrome-extension://*', 'https://*.app.example:443'];
      const { web, post } = await startGateway(protocol, { allowOrigins });
      const asked = await web.ask({ ...preflight, headers: { ...preflight.headers, origin: from } });
      const answer = await post(initialize.json, { origin: from });
      expect([asked, answer].map(({ status, headers }) => [status, headers['access-control-allow-origin']])).toEqual([
        [204, from],
        [200, from],
      ]);
    },
  );

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
