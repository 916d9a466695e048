import { createServer } from 'node:net';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRelay } from '../../../../src/tunnel/relay/server/relay.ts';
import type { TestAgent, World } from '../world.ts';
import { ask, askRaw, echo, eventually, fieldsOf, portOf, startWorld, within } from '../world.ts';

let world: World;
let agent: TestAgent;
let seen: number;
beforeEach(async () => {
  world = await startWorld();
  seen = 0;
  agent = await world.agent((request, response) => {
    seen += 1;
    echo(request, response);
  });
});
afterEach(async () => {
  await world.end();
});

const path = () => new URL(agent.url).pathname;
const raw = async (lines: string[], body = '', until?: RegExp) =>
  await askRaw(world.relay.port, `${lines.join('\r\n')}\r\n\r\n${body}`, until);

/** Status, JSON-RPC code and type of an answer of the relay itself. */
function verdict(text: string) {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const answer = fieldsOf(body);
  expect(answer).toMatchObject({ jsonrpc: '2.0', id: null, error: { message: expect.any(String) } });
  expect(head.toLowerCase()).toContain('content-type: application/json');
  return [Number(head.split(' ')[1]), fieldsOf(JSON.stringify(answer['error']))['code']];
}

describe('answers of its own', () => {
  test('/healthz', async () => {
    const reply = await ask(`${world.relay.url}/healthz`);
    expect([reply.status, reply.body, reply.headers['content-type']]).toEqual([
      200,
      '{"status":"ok"}',
      'application/json',
    ]);
  });

  test('unknown name: 404 that names it', async () => {
    const reply = await ask(`${world.relay.url}/nobody/mcp`, { method: 'POST', body: '{}' });
    expect(reply.status).toBe(404);
    expect(reply.body).toBe(
      '{"jsonrpc":"2.0","error":{"code":-32050,"message":"this relay knows nothing of the name nobody"},"id":null}',
    );
  });

  test('known but offline: 503 with Retry-After, and no body for HEAD', async () => {
    await agent.tunnel.close();
    const reply = await ask(agent.url, { method: 'POST', body: '{}' });
    expect(reply.status).toBe(503);
    expect(reply.headers['retry-after']).toBe('2');
    expect(JSON.parse(reply.body)).toMatchObject({ error: { code: -32051 } });
    const head = await ask(agent.url, { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([503, '']);
  });

  test('a plain request to the tunnel path', async () => {
    const reply = await ask(`${world.relay.url}/_mcp-expose/v1/tunnel`);
    expect(reply.status).toBe(426);
    expect(reply.headers['mcp-expose-versions']).toBe('mcp-expose.v1');
  });
});

describe('ambiguous requests never reach the agent', () => {
  const host = 'Host: relay';
  test.each<[string, () => string[], string, number]>([
    [
      'both lengths',
      () => [`POST ${path()} HTTP/1.1`, host, 'Content-Length: 5', 'Transfer-Encoding: chunked'],
      '0\r\n\r\n',
      400,
    ],
    [
      'both lengths, the other way round',
      () => [`POST ${path()} HTTP/1.1`, host, 'Transfer-Encoding: chunked', 'Content-Length: 5'],
      '0\r\n\r\n',
      400,
    ],
    [
      'two different lengths',
      () => [`POST ${path()} HTTP/1.1`, host, 'Content-Length: 5', 'Content-Length: 6'],
      'hello!',
      400,
    ],
    ['a length list', () => [`POST ${path()} HTTP/1.1`, host, 'Content-Length: 5, 5'], 'hello', 400],
    ['a signed length', () => [`POST ${path()} HTTP/1.1`, host, 'Content-Length: +5'], 'hello', 400],
    ['obsolete folding', () => [`GET ${path()} HTTP/1.1`, host, 'X-A: b', ' folded'], '', 400],
    ['a bare LF in a header', () => [`GET ${path()} HTTP/1.1`, host, 'X-A: b\nX-B: c'], '', 400],
    ['a bare CR in a header', () => [`GET ${path()} HTTP/1.1`, host, 'X-A: b\rX-B: c'], '', 400],
    ['a NUL in a header', () => [`GET ${path()} HTTP/1.1`, host, 'X-A: b\0c'], '', 400],
    ['a space before the colon', () => [`GET ${path()} HTTP/1.1`, host, 'Transfer-Encoding : chunked'], '', 400],
    ['an obscure coding', () => [`POST ${path()} HTTP/1.1`, host, 'Transfer-Encoding: xchunked'], '0\r\n\r\n', 400],
    ['two codings', () => [`POST ${path()} HTTP/1.1`, host, 'Transfer-Encoding: gzip, chunked'], '0\r\n\r\n', 501],
    [
      'two Authorization headers',
      () => [`GET ${path()} HTTP/1.1`, host, 'Authorization: Bearer a', 'Authorization: Bearer b'],
      '',
      400,
    ],
    ['two hosts', () => [`GET ${path()} HTTP/1.1`, host, 'Host: other'], '', 400],
    ['no host', () => [`GET ${path()} HTTP/1.1`, 'X: y'], '', 400],
    ['a target with user information', () => [`GET http://relay@other${path()} HTTP/1.1`, host], '', 400],
    ['a target of another scheme', () => [`GET ftp://relay${path()} HTTP/1.1`, host], '', 400],
    ['not HTTP', () => ['\u0016\u0003\u0001 hello'], '', 400],
    ['a header of 32 KB', () => [`GET ${path()} HTTP/1.1`, host, `X-A: ${'x'.repeat(32_000)}`], '', 431],
    ['a WebSocket', () => [`GET ${path()} HTTP/1.1`, host, 'Connection: Upgrade', 'Upgrade: websocket'], '', 501],
    ['CONNECT', () => ['CONNECT other:443 HTTP/1.1', 'Host: other:443'], '', 501],
  ])('%s', async (_what, lines, body, status) => {
    expect(verdict(await raw(lines(), body, /\}$/))).toEqual([status, -32054]);
    expect(seen).toBe(0);
  });

  test('a bad chunk after a good head breaks off', async () => {
    await raw([`POST ${path()} HTTP/1.1`, host, 'Transfer-Encoding: chunked'], 'zz\r\nhello\r\n0\r\n\r\n');
    expect((await ask(agent.url)).status).toBe(200);
  });

  test('what follows a request on the same connection is a request of its own', async () => {
    const text = await raw(
      [`POST ${path()}/first HTTP/1.1`, host, 'Content-Length: 3'],
      `abcGET ${path()}/second HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n`,
    );
    expect(text.match(/"url":"[^"]*"/g)).toEqual(['"url":"/first"', '"url":"/second"']);
  });
});

test("an upgrade to h2c is ignored, as Java's HTTP client needs it, body and next request included", async () => {
  const text = await raw(
    [
      `POST ${path()}/one HTTP/1.1`,
      'Host: relay',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAA',
      'Content-Length: 5',
    ],
    `helloGET ${path()}/two HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n`,
  );
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(text).toContain('"body":"hello"');
  expect(text).toContain('"url":"/two"');
});

describe('URLs', () => {
  test.each([
    [
      { domain: 'relay.test' },
      (port: number, name: string) => [`http://${name}.relay.test:${port}`, `http://127.0.0.1:${port}/${name}`],
    ],
    [{ publicUrl: 'https://r.test/' }, (_port: number, name: string) => [`https://r.test/${name}`]],
    [{ publicUrl: 'https://r.test:8443/t/' }, (_port: number, name: string) => [`https://r.test:8443/t/${name}`]],
    [
      { publicUrl: 'https://r.test', domain: '*.r.test' },
      (_port: number, name: string) => [`https://${name}.r.test`, `https://r.test/${name}`],
    ],
  ])('with %o', async (options, expected) => {
    const other = await startWorld(options);
    const { tunnel } = await other.agent(echo, { relayUrl: `http://127.0.0.1:${other.relay.port}`, name: 'files' });
    expect(tunnel.publicUrls).toEqual(expected(other.relay.port, 'files'));
    await other.end();
  });

  test('a name in the host, with the path as it is, and the TLS check for it', async () => {
    const other = await startWorld({ domain: 'relay.test' });
    await other.agent(echo, { name: 'files' });
    const at = `http://127.0.0.1:${other.relay.port}`;
    const reply = await ask(`${at}/files/x`, { headers: { host: 'FILES.relay.test' } });
    expect(JSON.parse(reply.body)).toMatchObject({ url: '/files/x', headers: { host: 'FILES.relay.test' } });
    const check = async (domain: string) => (await ask(`${at}/_mcp-expose/tls-check?domain=${domain}`)).status;
    expect(await check('files.relay.test')).toBe(200);
    expect(await check('relay.test')).toBe(200);
    expect(await check('other.relay.test')).toBe(404);
    expect(await check('files.evil.test')).toBe(404);
    expect(await check('')).toBe(404);
    await other.end();
  });

  test.each([
    { publicUrl: 'relay' },
    { publicUrl: 'ftp://x' },
    { publicUrl: 'https://u:p@x' },
    { domain: 'a b' },
    { domain: '' },
  ])('%o is a usage error', async (options) => {
    await expect(createRelay({ host: '127.0.0.1', port: 0, ...options })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('listening', () => {
  test('several addresses share one port', async () => {
    const relay = await createRelay({ addresses: ['127.0.0.1', '127.0.0.2'], port: 0 });
    expect(relay.urls).toEqual([`http://127.0.0.1:${relay.port}`, `http://127.0.0.2:${relay.port}`]);
    const replies = await Promise.all(relay.urls.map(async (url) => await ask(`${url}/healthz`)));
    expect(replies.map((reply) => reply.status)).toEqual([200, 200]);
    await relay.close();
  });

  test('a port in use is said, and the addresses that were free are free again', async () => {
    const other = createServer();
    other.listen(0, '127.0.0.2');
    await once(other, 'listening');
    const port = portOf(other);
    const started = createRelay({ addresses: ['127.0.0.1', '127.0.0.2'], port });
    await expect(started).rejects.toMatchObject({
      code: 'address_in_use',
      message: expect.stringContaining(`127.0.0.2:${port}`),
    });
    const again = await createRelay({ host: '127.0.0.1', port });
    await again.close();
    other.close();
  });

  test('an address that is not ours', async () => {
    await expect(createRelay({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'address_unavailable' });
  });
});

describe('close', () => {
  test('sends agents away and ends open requests after a grace', async () => {
    const hanging = await world.agent((request) => request.resume());
    const reply = ask(hanging.url).then(
      (value) => value.status,
      () => 'broken off',
    );
    await eventually(() => hanging.tunnel.publicUrls.length > 0, 'the agent');
    const idle = connect(world.relay.port, '127.0.0.1');
    idle.on('error', () => undefined);
    await once(idle, 'connect');
    const idleClosed = new Promise((resolve) => {
      idle.once('close', resolve);
    });
    await within(world.relay.close(), 'the relay to close');
    expect(await reply).not.toBe(200);
    await within(idleClosed, 'the idle connection to close');
    await eventually(() => hanging.statuses.some((status) => status.state === 'reconnecting'), 'the agent to notice');
    await expect(ask(hanging.url)).rejects.toThrow('ECONNREFUSED');
  });
});
