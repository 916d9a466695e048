// URLs as people type, paste and proxy them: the way in is the same.
import { writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { listenOnLoopback } from '../harness/loopback-server.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';
import { connectWith } from '../harness/sdk-clients.ts';
import { exposeBy, ways } from '../harness/ways.ts';

/** Forms of `…/mcp`. */
const typed = [
  (url: string) => `${url}/`,
  (url: string) => url.replace(/mcp$/, '/mcp'),
  (url: string) => url.replace(/mcp$/, ''),
  (url: string) => url.replace(/([^/:])\/([^/])/, '$1//$2'),
];

describe.each(ways)('%s', (way) => {
  let exposed: Exposed;
  beforeAll(async () => {
    exposed = await exposeBy(way, { server: fixture('echo'), lifetime: 'file' });
  });

  test.each(['v1', 'v2'] as const)('SDK client %s is served at each of them', async (version) => {
    for (const form of typed) {
      const url = form(exposed.url);
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that a failure names its URL
      const client = await connectWith[version](url, exposed.token);
      // oxlint-disable-next-line no-await-in-loop -- the same
      expect([url, await client.call('echo', { text: url })]).toEqual([url, url]);
      // oxlint-disable-next-line no-await-in-loop -- the same
      await client.terminate();
    }
  });

  test('the session of one is that of all, with GET and DELETE', async () => {
    const session = await openSession(exposed.url, exposed.token);
    const statuses = await Promise.all(
      typed.map(async (form, id) => {
        const { status } = await send(form(exposed.url), {
          method: 'POST',
          headers: session.headers,
          body: JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }),
        });
        return status;
      }),
    );
    expect(statuses).toEqual(typed.map(() => 200));
    const root = exposed.url.replace(/mcp$/, '');
    expect((await send(root, { method: 'DELETE', headers: session.headers })).status).toBe(204);
    expect((await send(exposed.url, { headers: session.headers })).status).toBe(404);
  });

  test('none of them is a way around the guard', async () => {
    for (const form of [(url: string) => url, ...typed]) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const { status } = await send(form(exposed.url), { method, headers: clientHeaders('wrong') });
        // After ten wrong tokens in a minute, further ones get 429.
        expect([form(exposed.url), method, [401, 429].includes(status)]).toEqual([form(exposed.url), method, true]);
      }
    }
  });

  test('a browser that looks at the root is told where the endpoint is', async () => {
    const reply = await send(exposed.url.replace(/mcp$/, ''), { headers: clientHeaders(exposed.token) });
    expect([reply.status, reply.body]).toEqual([404, expect.stringContaining('/mcp')]);
  });

  test.each(['/sse', '/sse/', '//sse'])('an old client is served at %s', async (end) => {
    const url = exposed.url.replace(/\/mcp$/, end);
    const client = await connectWith['v1 over HTTP+SSE'](url, exposed.token);
    expect(await client.call('echo', { text: end })).toBe(end);
  });

  test.each(['/prefix', '/deep/er'])('an old client is served behind a proxy that cuts off %s', async (prefix) => {
    const { host, port, pathname } = new URL(exposed.url.replace(/\/mcp$/, '/sse'));
    const proxy = createServer((incoming, response) => {
      const { url = '', method, headers } = incoming;
      if (!url.startsWith(`${prefix}/`)) {
        response.writeHead(404).end();
        return;
      }
      const forwarded = request(
        { host: '127.0.0.1', port, method, path: url.slice(prefix.length), headers: { ...headers, host } },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        },
      );
      forwarded.on('error', () => response.destroy());
      response.on('close', () => forwarded.destroy());
      incoming.pipe(forwarded);
    });
    const url = `http://127.0.0.1:${await listenOnLoopback(proxy)}${prefix}${pathname}`;
    const client = await connectWith['v1 over HTTP+SSE'](url, exposed.token);
    expect(await client.call('echo', { text: prefix })).toBe(prefix);
    await client.close();
    proxy.closeAllConnections();
  });
});

test('where there are several servers, each is served at its name, and the root asks for one', async () => {
  const config = path.join(temporaryDirectory(), 'servers.json');
  const [command, ...args] = fixture('echo');
  writeFileSync(config, JSON.stringify({ mcpServers: { one: { command, args }, other: { command, args } } }));
  const exposed = await startExpose({ config });
  const { origin } = new URL(exposed.localUrl);
  for (const form of ['/one/mcp/', '//one//mcp', '/one', '/one/']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const client = await connectWith.v1(`${origin}${form}`, exposed.token);
    // oxlint-disable-next-line no-await-in-loop -- the same
    expect(await client.call('echo', { text: form })).toBe(form);
  }
  const post = (at: string) =>
    send(`${origin}${at}`, { method: 'POST', headers: clientHeaders(exposed.token), body: initializeRequest() });
  expect((await post('/')).json()).toMatchObject({
    error: { data: { reason: 'server_not_named', servers: ['one', 'other'] } },
  });
  expect((await post('/none')).status).toBe(404);
});
