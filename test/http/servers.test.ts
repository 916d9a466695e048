// Several servers behind one handler: which of them a request reaches, and that no other one ever does.
import { describe, expect, test } from 'vitest';
import { createGuard } from '../../src/auth/guard.ts';
import { callersOf } from '../harness/callers.ts';
import { createHostList } from '../../src/auth/hosts.ts';
import { createCors } from '../../src/http/cors.ts';
import { createDirectory, type Readiness, type ServedServer } from '../../src/http/directory.ts';
import { createHandler } from '../../src/http/handler.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/message.ts';
import { parseJson } from '../harness/parse-json.ts';
import { protocols, startWeb, type Headers, type Protocol } from './web.ts';

const token = 'mcpx_0123456789abcdef0123456789abcdef';
const bearer: Headers = { authorization: `Bearer ${token}` };
const busy: Readiness = { status: 'ready', sessions: 2, children: 3, restarts: 1 };

interface World {
  /** Asks; the answer is `<server>:<endpoint>:<base path>` where a server was reached. */
  readonly ask: (path: string, headers?: Headers, method?: string) => Promise<{ status: number; body: string }>;
  readonly set: (names: readonly (string | undefined)[], readiness?: Partial<Record<string, Readiness>>) => void;
}

function served(name: string | undefined, readiness: Readiness): ServedServer {
  const say =
    (endpoint: string) =>
    (_request: HttpRequest, response: HttpResponse): void => {
      response.writeHead(200, {});
      response.end(`${name ?? 'the only one'}:${endpoint}`);
    };
  return {
    ...(name === undefined ? {} : { name }),
    mcp: { handle: say('mcp') },
    sse: { handle: say('sse'), handleMessage: say('messages') },
    readiness: async () => readiness,
  };
}

async function start(protocol: Protocol): Promise<World> {
  const directory = createDirectory();
  const labels = new Set(['files', 'git-2']);
  const hosts = createHostList({ hasLabel: (label) => labels.has(label) });
  hosts.setUrls(['https://k3v9.relay.example', 'https://relay.example/NAME']);
  const guard = createGuard({ hosts, callers: callersOf(token) });
  const web = await startWeb(protocol, createHandler({ guard, cors: createCors(() => false), directory }));

  return {
    async ask(path, headers = {}, method = 'GET') {
      const answer = await web.ask({ path, method, headers: { ...bearer, ...headers } });
      return { status: answer.status, body: await answer.body() };
    },
    set: (names, readiness = {}) =>
      directory.set(names.map((name) => served(name, (name === undefined ? undefined : readiness[name]) ?? busy))),
  };
}

describe.each(protocols)('over %s', (protocol) => {
  test('each server is at its name, and nowhere else', async () => {
    const { ask, set } = await start(protocol);
    set(['files', 'Git-2']);
    expect(await ask('/files/mcp')).toEqual({ status: 200, body: 'files:mcp' });
    expect(await ask('/Git-2/mcp')).toEqual({ status: 200, body: 'Git-2:mcp' });
    expect(await ask('/files/sse')).toEqual({ status: 200, body: 'files:sse' });
    expect(await ask('/files/messages?sessionId=x', {}, 'POST')).toEqual({ status: 200, body: 'files:messages' });
    const unnamed = await ask('/mcp');
    expect([unnamed.status, parseJson(unnamed.body)]).toEqual([
      404,
      {
        jsonrpc: '2.0',
        id: null,
        error: {
          code: -32000,
          message: 'several servers are here: name one in the path, as in /<server>/mcp',
          data: { reason: 'server_not_named', servers: ['files', 'Git-2'] },
        },
      },
    ]);
  });

  test('the server that was alone needs no name either when others come beside it', async () => {
    const { ask, set } = await start(protocol);
    set(['files']);
    set(['files', 'git']);
    expect((await ask('/mcp')).body).toBe('files:mcp');
    expect((await ask('/git/mcp')).body).toBe('git:mcp');
    set(['git', 'other']);
    expect((await ask('/mcp')).status).toBe(404);
  });

  test('an unknown server is named in the refusal', async () => {
    const { ask, set } = await start(protocol);
    set(['files']);
    for (const path of ['/nope/mcp', '/nope/sse', '/nope/readyz']) {
      // oxlint-disable-next-line no-await-in-loop -- one answer after the other
      const { status, body } = await ask(path);
      expect([status, parseJson(body)]).toEqual([
        404,
        {
          jsonrpc: '2.0',
          id: null,
          error: {
            code: -32000,
            message: 'unknown server "nope"',
            data: { reason: 'server_not_found', server: 'nope', servers: ['files'] },
          },
        },
      ]);
    }
  });

  test.each(['__proto__', 'constructor', 'toString', 'FILES', '%66iles', 'files%2F'])(
    'the name %s finds no server',
    async (name) => {
      const { ask, set } = await start(protocol);
      set(['files', 'git-2']);
      expect((await ask(`/${name}/mcp`)).status).toBe(404);
    },
  );

  test('the only server needs no name, and may be called by it', async () => {
    const { ask, set } = await start(protocol);
    set(['files']);
    expect((await ask('/mcp')).body).toBe('files:mcp');
    expect((await ask('/files/mcp')).body).toBe('files:mcp');
    set([undefined]);
    expect((await ask('/mcp')).body).toBe('the only one:mcp');
    expect((await ask('/undefined/mcp')).status).toBe(404);
  });

  test('a host can name the server, and must not contradict the path', async () => {
    const { ask, set } = await start(protocol);
    set(['files', 'Git-2']);
    const host = 'files.k3v9.relay.example';
    expect((await ask('/mcp', { host })).body).toBe('files:mcp');
    expect((await ask('/mcp', { host: 'GIT-2.K3v9.relay.example' })).body).toBe('Git-2:mcp');
    expect((await ask('/files/mcp', { host })).body).toBe('files:mcp');
    const other = await ask('/Git-2/mcp', { host });
    expect(other.status).toBe(404);
    expect(other.body).toContain('the host names the server files, and the path another one');
    expect((await ask('/sse', { host })).body).toBe('files:sse');
  });

  test('an unknown host below ours is refused with its name', async () => {
    const { ask, set } = await start(protocol);
    set(['files']);
    const { status, body } = await ask('/mcp', { host: 'nope.k3v9.relay.example' });
    expect([status, parseJson(body)]).toMatchObject([
      403,
      { error: { data: { reason: 'host_not_allowed', host: 'nope.k3v9.relay.example' } } },
    ]);
  });

  test('the path in front of ours is handed to the legacy transport, which has to tell its clients', async () => {
    const { ask, set } = await start(protocol);
    set(['files']);
    expect((await ask('/sse', { host: 'relay.example' })).body).toBe('files:sse');
    expect((await ask('/files/sse', { host: 'relay.example' })).body).toBe('files:sse');
  });

  describe('/readyz', () => {
    const down: Readiness = {
      status: 'down',
      reason: 'the server exited with code 1',
      sessions: 0,
      children: 0,
      restarts: 4,
    };

    test('is 200 with counts while all servers are up', async () => {
      const { ask, set } = await start(protocol);
      set(['files', 'git']);
      const { status, body } = await ask('/readyz');
      expect([status, parseJson(body)]).toEqual([
        200,
        {
          status: 'ready',
          sessions: 4,
          children: 6,
          restarts: 2,
          servers: [
            { name: 'files', ...busy },
            { name: 'git', ...busy },
          ],
        },
      ]);
    });

    test('is 503 as soon as one is down, and says which and why; each can be asked alone', async () => {
      const { ask, set } = await start(protocol);
      set(['files', 'git'], { git: down });
      const { status, body } = await ask('/readyz');
      expect([status, parseJson(body)]).toMatchObject([
        503,
        { status: 'down', servers: [{}, { name: 'git', ...down }] },
      ]);
      expect([(await ask('/files/readyz')).status, (await ask('/git/readyz')).status]).toEqual([200, 503]);
    });

    // A proxy on this machine may forward requests of others under a loopback name.
    test.each(['localhost', '127.0.0.1:80', 'k3v9.relay.example', 'files.k3v9.relay.example'])(
      'tells who has no token whether all are up, and nothing else, under %s',
      async (host) => {
        const stranger = { authorization: 'Bearer wrong', host };
        const { ask, set } = await start(protocol);
        set(['files', 'git-2']);
        expect(await ask('/readyz', stranger)).toEqual({ status: 200, body: '{"status":"up"}' });
        for (const readiness of [down, { ...down, status: 'starting' } as const]) {
          set(['files', 'git-2'], { files: readiness });
          // oxlint-disable-next-line no-await-in-loop -- one state after the other
          expect(await ask('/readyz', stranger)).toEqual({ status: 503, body: '{"status":"down"}' });
        }
        // Nor which servers there are.
        const named = await Promise.all(['/files/readyz', '/nope/readyz'].map((path) => ask(path, stranger)));
        expect(named.map(({ status }) => status)).toEqual([401, 401]);
        expect(new Set(named.map(({ body }) => body)).size).toBe(1);
        expect(parseJson((await ask('/readyz', { host })).body)).toMatchObject({ restarts: expect.any(Number) });
      },
    );

    test('is 503 before anything is known', async () => {
      const { ask, set } = await start(protocol);
      expect(await ask('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining('"status":"starting"') });
      set(['files', 'git'], { files: { ...down, status: 'starting' } });
      expect(await ask('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining('"status":"starting"') });
    });

    test('answers nobody who came by a foreign host, and no other method', async () => {
      const { ask, set } = await start(protocol);
      set(['files']);
      expect((await ask('/readyz', { host: 'evil.example' })).status).toBe(403);
      expect((await ask('/readyz', {}, 'POST')).status).toBe(404);
    });
  });
});
