import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toRequestHeaders, toResponseHeaders } from '../../../../src/tunnel/relay/server/headers.ts';
import type { World } from '../world.ts';
import { echo, fieldsOf, headOf, startWorld } from '../world.ts';

function toHeaders(...rawHeaders: string[]) {
  return toRequestHeaders({
    rawHeaders: ['Host', 'relay.example', ...rawHeaders],
    scheme: 'https',
    clientAddress: '10.1.2.3',
  });
}

test('the whole block, as a literal', () => {
  expect(toHeaders('Authorization', 'Bearer x', 'Accept', 'a', 'Accept', 'b', 'Content-Length', '2')).toEqual({
    ok: true,
    hasBody: true,
    headers: [
      ['host', 'relay.example'],
      ['authorization', 'Bearer x'],
      ['accept', 'a'],
      ['accept', 'b'],
      ['content-length', '2'],
      ['x-forwarded-for', '10.1.2.3'],
      ['x-forwarded-proto', 'https'],
      ['x-forwarded-host', 'relay.example'],
    ].flat(),
  });
});

test('headers of the connection and those that Connection names are dropped, whatever their case', () => {
  const result = toHeaders(
    'Connection',
    'X-Secret, close',
    'X-SECRET',
    '1',
    'Keep-Alive',
    '5',
    'TE',
    'trailers',
    'Upgrade',
    'h2c',
    'Proxy-Authorization',
    'x',
    'Proxy-Connection',
    'x',
    'Trailer',
    'x',
    'Transfer-Encoding',
    'chunked',
    'X-Kept',
    '1',
    'Forwarded',
    'for=x',
    'X-Forwarded-Prefix',
    '/x',
    'X-Real-IP',
    '6.6.6.6',
  );
  const names = result.ok ? result.headers.filter((_part, at) => at % 2 === 0) : [];
  expect(names).toEqual(['host', 'x-kept', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);
});

test.each(['Authorization', 'Host', 'Content-Type', 'Origin', 'Content-Length', 'Referer', 'Range'])(
  'two %s headers are refused by name',
  (name) => {
    expect(toHeaders(name, 'a', name.toUpperCase(), 'a')).toEqual({
      ok: false,
      status: 400,
      message: `the request has more than one ${name.toLowerCase()} header`,
    });
  },
);

test.each(['gzip', 'gzip, chunked', 'identity', 'chunked, chunked'])('Transfer-Encoding: %s is refused', (coding) => {
  expect(toHeaders('Transfer-Encoding', coding)).toMatchObject({ ok: false, status: 501 });
});

test.each(['', 'a b', 'a/b', 'a,b', 'user@host'])('the host %j is refused', (host) => {
  const result = toRequestHeaders({
    rawHeaders: ['Host', host],
    scheme: 'http',
    clientAddress: undefined,
  });
  expect(result).toMatchObject({ ok: false, status: 400 });
});

test.each([
  [[], false],
  [['Content-Length', '0'], false],
  [['Content-Length', '1'], true],
  [['Transfer-Encoding', 'chunked'], true],
])('with %j it has a body: %s', (rawHeaders, hasBody) => {
  expect(toHeaders(...rawHeaders)).toMatchObject({ ok: true, hasBody });
});

describe('event streams', () => {
  test.each([
    [undefined, 'no-transform'],
    ['no-cache', 'no-cache, no-transform'],
    ['no-cache, No-Transform', 'no-cache, No-Transform'],
    ['x-no-transformers', 'x-no-transformers, no-transform'],
  ])('Cache-Control %s becomes %s', (before, after) => {
    const headers = ['Content-Type', 'Text/Event-Stream;charset=utf-8'];
    if (before !== undefined) headers.push('Cache-Control', before);
    const result = toResponseHeaders(headers);
    expect(result.get('cache-control')).toBe(after);
    expect(result.get('x-accel-buffering')).toBe('no');
  });

  test('other types are left alone', () => {
    expect([...toResponseHeaders(['content-type', 'text/plain', 'connection', 'x'])]).toEqual([
      ['content-type', 'text/plain'],
    ]);
  });
});

const byPath = (): undefined => undefined;

async function bodyOf(url: string, headers: Record<string, string>): Promise<string> {
  const request = httpRequest(url, { agent: false, headers });
  request.end();
  const chunks: Buffer[] = [];
  for await (const chunk of await headOf(request)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

describe('what of an answer gets through a relay', () => {
  let world: World;
  beforeEach(async () => {
    world = await startWorld({ domain: 'relay.test' });
  });
  afterEach(async () => {
    await world.end();
  });

  /** For the connection, for the operator's proxy, or for more than this host. */
  const never = {
    'alt-svc': 'h3="evil.test:443"; ma=31536000',
    'clear-site-data': '"cookies"',
    'expect-ct': 'max-age=1',
    nel: '{"report_to":"evil","max_age":31536000,"include_subdomains":true}',
    'public-key-pins': 'pin-sha256="x"; max-age=1',
    'x-accel-redirect': '/internal/secrets',
    'x-accel-expires': '99999',
    'x-sendfile': '/etc/passwd',
  };
  /** For all of an origin. */
  const originWide = {
    'accept-ch': 'Sec-CH-UA-Model',
    'critical-ch': 'Sec-CH-UA-Model',
    'origin-agent-cluster': '?1',
    'report-to': '{"group":"evil","max_age":1,"endpoints":[{"url":"https://evil.test"}]}',
    'reporting-endpoints': 'evil="https://evil.test"',
    'service-worker-allowed': '/',
    'set-cookie': ['a=1', 'b=2; Path=/'],
    'set-login': 'logged-in',
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
  };
  /** For the answer that they come with. */
  const ownAnswer = {
    'access-control-allow-origin': 'https://app.test',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'",
    location: '/elsewhere',
    'mcp-session-id': 's',
    'www-authenticate': 'Bearer resource_metadata="https://relay.test/x"',
  };

  /** What a client at `host` gets of an answer with these headers, lower case. */
  async function received(sent: OutgoingHttpHeaders, host: (name: string) => string | undefined) {
    const { url } = await world.agent((request, response) => {
      request.resume();
      response.writeHead(200, sent);
      response.end();
    });
    // The first URL names the agent by its host; the name is the path otherwise.
    const name = new URL(url).hostname.split('.')[0] ?? '';
    const own = host(name);
    const headers = own === undefined ? {} : { host: own };
    const path = own === undefined ? `/${name}/mcp` : '/mcp';
    const request = httpRequest(`${world.relay.url}${path}`, { agent: false, headers });
    request.end();
    const response = await headOf(request);
    response.resume();
    return response.headers;
  }

  const byHost = (name: string): string => `${name}.relay.test:${world.relay.port}`;

  describe('a name in the path, whose origin other agents have as well', () => {
    test.each(Object.entries({ ...never, ...originWide }))('%s does not get through', async (name, value) => {
      expect((await received({ [name]: value }, byPath))[name]).toBeUndefined();
    });

    test('what concerns its own answers does', async () => {
      expect(await received(ownAnswer, byPath)).toMatchObject(ownAnswer);
    });

    test('cookies of the origin do not get to the agent', async () => {
      const { url } = await world.agent(echo);
      const name = new URL(url).hostname.split('.')[0] ?? '';
      const text = await bodyOf(`${world.relay.url}/${name}/mcp`, { cookie: 'a=1' });
      expect(fieldsOf(text)['headers']).not.toHaveProperty('cookie');
    });

    test('the cookie of its consent page does, both ways, and no other one', async () => {
      let path = '';
      const { url } = await world.agent((request, response) => {
        request.resume();
        const cookies = [
          `mcp-expose-consent=a; Path=${path}; HttpOnly`,
          `__Secure-mcp-expose-consent=b; Secure; path=${path}`,
          'mcp-expose-consent=c; Path=/',
          `mcp-expose-consent=d; Path=${path}x`,
          `mcp-expose-consent=e; Path=${path}; Domain=relay.test`,
          `other=f; Path=${path}`,
          'mcp-expose-consent=g',
        ];
        response.writeHead(200, { 'set-cookie': cookies, 'x-cookie': request.headers.cookie ?? '' });
        response.end();
      });
      path = `/${new URL(url).hostname.split('.')[0]}`;
      const headers = { cookie: 'a=1; mcp-expose-consent=a; x-mcp-expose-consent=2; __Secure-mcp-expose-consent=b' };
      const request = httpRequest(`${world.relay.url}${path}/authorize`, { agent: false, headers });
      request.end();
      const response = await headOf(request);
      response.resume();
      expect(response.headers['set-cookie']).toEqual([
        `mcp-expose-consent=a; Path=${path}; HttpOnly`,
        `__Secure-mcp-expose-consent=b; Secure; path=${path}`,
      ]);
      expect(response.headers['x-cookie']).toBe('mcp-expose-consent=a; __Secure-mcp-expose-consent=b');
    });
  });

  describe('a name with a host of its own', () => {
    test.each(Object.entries(never))('%s does not get through', async (name, value) => {
      expect((await received({ [name]: value }, byHost))[name]).toBeUndefined();
    });

    test('what concerns its own host does', async () => {
      const sent = { ...ownAnswer, ...originWide };
      expect(await received(sent, byHost)).toMatchObject(sent);
    });

    test('a cookie for the hosts of others does not', async () => {
      const parents = ['Domain=relay.test', 'domain=.Relay.Test', 'Secure; DOMAIN = relay.test ; Path=/'];
      const sent = {
        'set-cookie': ['own=1; HttpOnly', 'empty=1; Domain=', ...parents.map((part) => `toss=1; ${part}`)],
      };
      const kept = ['own=1; HttpOnly', 'empty=1; Domain='];
      expect((await received(sent, byHost))['set-cookie']).toEqual(kept);
      expect((await received({ 'set-cookie': 'a=1; Domain=relay.test' }, byHost))['set-cookie']).toBeUndefined();
    });

    test('its own cookies get to the agent', async () => {
      const { url } = await world.agent(echo);
      const text = await bodyOf(`${world.relay.url}/mcp`, { cookie: 'a=1', host: new URL(url).host });
      expect(fieldsOf(text)).toMatchObject({ headers: { cookie: 'a=1' } });
    });
  });
});

test.each(['content-type', 'Content-Length', 'location'])('a response with two %s is not valid', (name) => {
  expect(() => toResponseHeaders([name, '1', name.toLowerCase(), '2'])).toThrow(
    `more than one ${name.toLowerCase()} header`,
  );
});
