// Known faults of other bridges that are attacked here:
// - supergateway 4.0.0: listens on all interfaces without a choice (its issue 125), takes any Origin and Host
// - mcp-proxy 6.7.19: answers any origin with *, its preflight lacks DELETE and the header of its own key, no check of Host
// - bridges that ask a browser's preflight for the credential that it cannot carry
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { within } from '../harness/eventually.ts';
import { startExpose, type Exposed } from '../harness/expose.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';

const origin = 'https://app.example';
const start = (...args: string[]): Promise<Exposed> =>
  startExpose({ server: fixture('echo'), args: ['--tunnel', 'none', ...args] });

/** The names in the value of a header. */
const words = (list: string | undefined): string[] => (list ?? '').toLowerCase().split(/\s*,\s*/);

/** The code of the error, or `connected`. */
async function tryToConnect(host: string, port: number): Promise<string> {
  const socket = net.connect(port, host);
  try {
    const outcome = new Promise<string>((resolve) => {
      socket.once('connect', () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    });
    return await within(5000, `an outcome of connecting to ${host}`, outcome);
  } finally {
    socket.destroy();
  }
}

test('R15 it listens on one address of this machine alone, unless told otherwise', async () => {
  const exposed = await start();
  const port = Number(new URL(exposed.localUrl).port);
  expect(await tryToConnect('127.0.0.1', port)).toBe('connected');
  // Another address of the same machine, which whoever listens on all interfaces answers.
  expect(await tryToConnect('127.0.0.2', port)).toBe('ECONNREFUSED');
});

describe('a web page', () => {
  const preflight = (exposed: Exposed, method: string, from = origin, path = '/mcp') =>
    send(new URL(path, exposed.localUrl).href, {
      method: 'OPTIONS',
      headers: [
        ['Origin', from],
        ['Access-Control-Request-Method', method],
        [
          'Access-Control-Request-Headers',
          'authorization,content-type,mcp-session-id,mcp-protocol-version,last-event-id',
        ],
      ],
    });

  test.each(['POST', 'GET', 'DELETE'])(
    'of an allowed origin may %s, and is told so without a credential',
    async (method) => {
      const exposed = await start('--allow-origin', origin);
      const reply = await preflight(exposed, method);
      expect(reply.status).toBe(204);
      expect(reply.headers['access-control-allow-origin']).toBe(origin);
      expect(words(reply.headers['access-control-allow-methods'])).toContain(method.toLowerCase());
      expect(words(reply.headers['access-control-allow-headers'])).toEqual(
        expect.arrayContaining([
          'authorization',
          'content-type',
          'mcp-session-id',
          'mcp-protocol-version',
          'last-event-id',
        ]),
      );
      // The preflight lets it ask, not in.
      const refused = await send(exposed.url, { method, headers: [['Origin', origin]] });
      expect(refused.status).toBe(401);
      expect(refused.headers['access-control-allow-origin']).toBe(origin);
    },
  );

  test('can read the id of the session that it has opened', async () => {
    const exposed = await start('--allow-origin', origin);
    const reply = await send(exposed.url, {
      method: 'POST',
      headers: clientHeaders(exposed.token, [['Origin', origin]]),
      body: initializeRequest(),
    });
    expect(reply.status).toBe(200);
    expect(reply.headers['access-control-allow-origin']).toBe(origin);
    expect(words(reply.headers['access-control-expose-headers'])).toContain('mcp-session-id');
  });

  test.each(['https://evil.example', `${origin}.evil.example`, `${origin}:444`, 'http://app.example', 'null'])(
    'of %s may nothing, with the credential too',
    async (evil) => {
      const exposed = await start('--allow-origin', origin);
      const asked = await Promise.all(
        ['/mcp', '/sse', '/messages'].map((path) => preflight(exposed, 'POST', evil, path)),
      );
      const reply = await send(exposed.url, {
        method: 'POST',
        headers: clientHeaders(exposed.token, [['Origin', evil]]),
        body: initializeRequest(),
      });
      expect([...asked, reply].map(({ status }) => status)).toEqual([403, 403, 403, 403]);
      for (const { rawHeaders } of [...asked, reply]) expect(rawHeaders.join('\n')).not.toMatch(/access-control/i);
      expect(reply.headers['mcp-session-id']).toBeUndefined();
    },
  );

  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '0.0.0.0'])(
    'that has pointed the name %s at this machine is refused',
    async (host) => {
      const exposed = await start();
      const port = new URL(exposed.localUrl).port;
      const replies = await Promise.all(
        ['/mcp', '/sse'].map((path) =>
          send(new URL(path, exposed.localUrl).href, {
            headers: [...clientHeaders(exposed.token), ['Host', `${host}:${port}`]],
          }),
        ),
      );
      expect(replies.map(({ status }) => status)).toEqual([403, 403]);
    },
  );
});
