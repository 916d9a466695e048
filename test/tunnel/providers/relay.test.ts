import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Server, Socket } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { ExposeError } from '../../../src/errors.ts';
import { createIdentity } from '../../../src/tunnel/relay/protocol/identity.ts';
import type { RelayProviderOptions } from '../../../src/tunnel/providers/relay.ts';
import { createRelayProvider, tunnelEndpoint } from '../../../src/tunnel/providers/relay.ts';
import { createRelay } from '../../../src/tunnel/relay/server/relay.ts';
import type { World } from '../relay/world.ts';
import {
  ask,
  echo,
  eventually,
  inTurn,
  noListener,
  overTunnel,
  portOf,
  startWorld,
  temporaryFolder,
  within,
} from '../relay/world.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server, port = 0): Promise<string> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${portOf(server)}`;
}

async function openFails(options: RelayProviderOptions, signal = new AbortController().signal): Promise<ExposeError> {
  const opened = createRelayProvider({ keys: createIdentity(), env: {}, ...options }).open(
    { handler: overTunnel(echo), localPort: 1, listen: noListener },
    { signal, onStatus: () => undefined, onWarning: () => undefined },
  );
  return await within(
    opened.then(
      () => expect.unreachable(),
      (error: ExposeError) => error,
    ),
    'the failure',
  );
}

/** A server that selects `protocol` whatever is offered, and sends `greet` at once. */
async function webSocketServer(
  protocol: string | undefined,
  greet: string[] = [],
  port = 0,
  bye?: string,
): Promise<string> {
  const server = createHttpServer();
  const handleProtocols = (): string | false => protocol ?? false;
  const webSockets = new WebSocketServer({ server, handleProtocols });
  webSockets.on('connection', (socket) => {
    socket.on('error', () => undefined);
    for (const message of greet) socket.send(message);
    if (bye !== undefined) socket.close(4000, bye);
  });
  return await listen(server, port);
}

/** Ends the server at `host`, with all connections, so that its port is free. */
async function stopListening(host: string): Promise<void> {
  const server = servers.find((other) => host === `127.0.0.1:${portOf(other)}`);
  for (const socket of sockets) socket.destroy();
  if (server === undefined) throw new Error('no such server');
  servers.splice(servers.indexOf(server), 1);
  const closed = once(server, 'close');
  server.close();
  await within(closed, 'the server to end');
}

describe('the first connect fails fast and says why', () => {
  test('nobody listens', async () => {
    const relay = await createRelay({ host: '127.0.0.1', port: 0 });
    await relay.close();
    const error = await openFails({ relayUrl: relay.url });
    expect([error.code, error.message]).toEqual([
      'tunnel_unreachable',
      `could not connect to the relay ${relay.url}: connection refused`,
    ]);
    expect(error.hints).not.toEqual([]);
  });

  test('no such host', async () => {
    const error = await openFails({ relayUrl: 'http://relay.invalid' });
    expect(error.code).toBe('tunnel_unreachable');
    expect(error.message).toContain('could not connect to the relay http://relay.invalid: ');
  });

  test.each([200, 404, 502])('a web server that answers %i', async (status) => {
    const host = await listen(createHttpServer((_request, response) => response.writeHead(status).end('<html>')));
    const error = await openFails({ relayUrl: `http://${host}/x` });
    expect([error.code, error.message]).toEqual([
      'tunnel_not_a_relay',
      `http://${host}/x answered the tunnel request with HTTP ${status}, it is not an mcp-expose relay`,
    ]);
  });

  test('a redirect is not followed, but shown', async () => {
    const host = await listen(
      createHttpServer((_request, response) =>
        response.writeHead(301, { location: 'https://elsewhere.example/' }).end(),
      ),
    );
    const error = await openFails({ relayUrl: `http://${host}` });
    expect(error.hints[0]).toBe('it redirects to https://elsewhere.example/: give that address to --relay');
  });

  test('a server that never answers', async () => {
    const host = await listen(createTcpServer());
    const error = await openFails({ relayUrl: `http://${host}`, connectTimeoutMs: 100 });
    expect([error.code, error.message]).toEqual([
      'tunnel_unreachable',
      `the relay http://${host} did not answer within 1 s`,
    ]);
  });

  test('a server that speaks something else', async () => {
    const host = await listen(createTcpServer((socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n')));
    expect((await openFails({ relayUrl: `http://${host}` })).code).toBe('tunnel_not_a_relay');
  });

  test('a server that hangs up', async () => {
    const host = await listen(createTcpServer((socket) => socket.destroy()));
    expect((await openFails({ relayUrl: `http://${host}` })).code).toBe('tunnel_unreachable');
  });

  test('TLS towards a server without TLS', async () => {
    const host = await listen(createHttpServer());
    const error = await openFails({ relayUrl: `https://${host}` });
    expect(error.code).toBe('tunnel_unreachable');
    expect(error.hints.join(' ')).toContain('http://');
  });

  test('TLS without a certificate that fits', async () => {
    const host = await listen(createHttpsServer());
    expect((await openFails({ relayUrl: `https://${host}` })).code).toBe('tunnel_unreachable');
  });

  test('a WebSocket server of another kind', async () => {
    await inTurn([undefined, 'chat'], async (protocol) => {
      const host = await webSocketServer(protocol);
      const error = await openFails({ relayUrl: `http://${host}` });
      expect([error.code, error.message]).toEqual([
        'tunnel_not_a_relay',
        `http://${host} is a WebSocket server, but not an mcp-expose relay`,
      ]);
    });
  });

  test('a relay of another version, by its subprotocol and by its refusal', async () => {
    const bySubprotocol = await webSocketServer('mcp-expose.v9');
    const byHeader = await listen(
      createHttpServer((_request, response) =>
        response.writeHead(426, { 'mcp-expose-versions': 'mcp-expose.v9' }).end(),
      ),
    );
    const byReject = await webSocketServer('mcp-expose.v1', [
      '{"type":"reject","code":"version","message":"this relay speaks mcp-expose.v9, the agent speaks mcp-expose.v1","retryable":false}',
    ]);
    await inTurn([bySubprotocol, byHeader, byReject], async (host) => {
      const error = await openFails({ relayUrl: `http://${host}` });
      expect(error.code).toBe('tunnel_version');
      expect(error.message).toContain('mcp-expose.v9');
      expect(error.message).toContain('mcp-expose.v1');
    });
  });

  test.each([
    ['garbage', 'garbage'],
    ['a malformed welcome', '{"type":"welcome"}'],
  ])('a relay that sends %s', async (_what, message) => {
    const host = await webSocketServer('mcp-expose.v1', [message]);
    expect((await openFails({ relayUrl: `http://${host}` })).code).toBe('tunnel_not_a_relay');
  });

  test('a refusal, in the words of the relay', async () => {
    const host = await webSocketServer('mcp-expose.v1', [
      '{"type":"reject","code":"quota","message":"come \\u001b[31mback","retryable":true}',
    ]);
    const error = await openFails({ relayUrl: `http://${host}` });
    expect([error.code, error.message]).toEqual([
      'tunnel_rejected',
      `the relay http://${host} refused this agent: come  [31mback (quota)`,
    ]);
  });

  test.each(['javascript:alert(1)', 'https://user:pw@a.example', 'https://a.example?x', 'https://a.example/$(x)'])(
    'a relay whose public URL is %s',
    async (url) => {
      const host = await webSocketServer('mcp-expose.v1', [
        `{"type":"welcome","session":"s","epoch":1,"name":"files","urls":["https://a.example",${JSON.stringify(url)}],"resumeMs":0,"heartbeatMs":15000,"limits":{"streams":256}}`,
      ]);
      const error = await openFails({ relayUrl: `http://${host}` });
      expect([error.code, error.message]).toEqual([
        'tunnel_rejected',
        `the relay http://${host} gave this agent a public URL that cannot be used: ${JSON.stringify(url)}`,
      ]);
    },
  );

  test('a relay that hangs up in the handshake with words of many bytes', async () => {
    const host = await webSocketServer('mcp-expose.v1', [], 0, `${'\u4e16'.repeat(40)}\u202e`);
    const error = await openFails({ relayUrl: `http://${host}` });
    expect(error.message).toMatch(/with 4000 \u4e16{40}$/);
  });

  test('aborting an open that is under way', async () => {
    const host = await listen(createTcpServer());
    const abort = new AbortController();
    const failure = openFails({ relayUrl: `http://${host}` }, abort.signal);
    await eventually(() => sockets.size > 0, 'the dial');
    abort.abort(new Error('stopped by hand'));
    expect((await failure).message).toBe('stopped by hand');
  });

  test.each(['relay', '', 'ftp://x', 'http://', 'https://u:p@x', 'https://x/?q', 'https://x/#h'])(
    '%j is a usage error',
    (relayUrl) => {
      expect(() => createRelayProvider({ relayUrl })).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );

  test.each(['ab', 'UPPER', '-x-', 'a_b', 'a.b', ''])('the name %j is a usage error', (name) => {
    expect(() => createRelayProvider({ relayUrl: 'https://x', name })).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});

test.each([
  ['https://relay.example', 'wss://relay.example/_mcp-expose/v1/tunnel'],
  ['http://127.0.0.1:8080/', 'ws://127.0.0.1:8080/_mcp-expose/v1/tunnel'],
  ['wss://relay.example/prefix/', 'wss://relay.example/prefix/_mcp-expose/v1/tunnel'],
])('%s is dialled as %s', (relayUrl, endpoint) => {
  expect(tunnelEndpoint(relayUrl).href).toBe(endpoint);
});

describe('a tunnel that is up', () => {
  let world: World;
  beforeEach(async () => {
    world = await startWorld();
  });
  afterEach(async () => {
    await world.end();
  });

  test('the relay is killed and started again on the same port: the same URL works again', async () => {
    const agent = await world.agent(echo);
    const { port } = world.relay;
    const before = agent.url;
    await world.relay.close();
    await eventually(() => agent.statuses.some((status) => status.state === 'reconnecting'), 'reconnecting');
    world.relay = await createRelay({ host: '127.0.0.1', port });
    await eventually(() => agent.statuses.at(-1)?.state === 'up', 'up');
    expect(agent.tunnel.publicUrls).toEqual([before]);
    expect((await ask(before)).status).toBe(200);
  });

  test('it comes back through a cut connection, without giving up its URL', async () => {
    const cuts: Socket[] = [];
    let target = 0;
    const host = await listen(
      createTcpServer((near) => {
        const far = connect(target, '127.0.0.1');
        cuts.push(near, far);
        near.pipe(far).pipe(near);
        near.on('error', () => far.destroy());
        far.on('error', () => near.destroy());
      }),
    );
    // The proof names the host that was dialled, so the relay must know itself by that address.
    const known = await startWorld({ publicUrl: `http://${host}` });
    target = known.relay.port;
    const agent = await known.agent(echo, { relayUrl: `http://${host}` });
    for (const socket of cuts.splice(0)) socket.resetAndDestroy();
    await eventually(() => agent.statuses.at(-1)?.state === 'up', 'up');
    expect(agent.statuses.map((status) => status.state)).toEqual(['reconnecting', 'up']);
    expect((await ask(agent.url)).status).toBe(200);
    await known.end();
  });

  test('a refusal that will not change ends it with a reason', async () => {
    const keys = createIdentity();
    const agent = await world.agent(echo, { name: 'files', random: () => 1 });
    const { port } = world.relay;
    await world.relay.close();
    // A relay for one other key refuses this one for good.
    world.relay = await createRelay({ host: '127.0.0.1', port, sole: { publicKey: keys.publicKey } });
    await eventually(() => agent.statuses.at(-1)?.state === 'down', 'down');
    expect(agent.statuses.at(-1)?.reason).toContain('this relay serves one agent only (auth)');
  });

  test('another key takes the wished name over a restart of the relay: the owner gets it back in the end', async () => {
    const agent = await world.agent(echo, { name: 'files', random: () => 0 });
    const { port } = world.relay;
    await world.relay.close();
    // The first one that asks a relay without memory gets the name.
    const taken = await webSocketServer(
      'mcp-expose.v1',
      ['{"type":"reject","code":"name_taken","message":"the name files belongs to another key","retryable":false}'],
      port,
    );
    await eventually(() => agent.statuses.at(-1)?.reason?.includes('(name_taken)'), 'the refusal');
    expect(agent.statuses.at(-1)?.state).toBe('reconnecting');
    await stopListening(taken);
    world.relay = await createRelay({ host: '127.0.0.1', port });
    await eventually(() => agent.statuses.at(-1)?.state === 'up', 'up again');
    expect((await ask(agent.url)).status).toBe(200);
    expect(agent.statuses.map((status) => status.state)).not.toContain('down');
  });

  test('close: no request comes through, nothing reconnects, and closing twice is safe', async () => {
    const agent = await world.agent(echo);
    await agent.tunnel.close();
    await agent.tunnel.close();
    await eventually(() => world.events.some((event) => event.type === 'agent_disconnected'), 'the relay to notice');
    expect((await ask(agent.url)).status).toBe(503);
    expect(agent.statuses).toEqual([]);
  });

  test('close while the relay is gone', async () => {
    const agent = await world.agent(echo);
    await world.relay.close();
    await within(agent.tunnel.close(), 'close');
    await within(agent.tunnel.close(), 'close');
    expect(agent.statuses.filter((status) => status.state === 'up')).toEqual([]);
  });

  test('the key is kept in the configuration folder and its slot is freed', async () => {
    const folder = temporaryFolder();
    const env = { XDG_CONFIG_HOME: folder.path };
    const open = async () => {
      const provider = createRelayProvider({ relayUrl: world.relay.url, env });
      return await provider.open(
        { handler: overTunnel(echo), localPort: 1, listen: noListener },
        { signal: new AbortController().signal, onStatus: () => undefined, onWarning: () => undefined },
      );
    };
    const one = await open();
    const two = await open();
    await Promise.all([one.close(), two.close()]);
    const again = await open();
    await again.close();
    expect(one.publicUrls).not.toEqual(two.publicUrls);
    expect(again.publicUrls).toEqual(one.publicUrls);
    expect(readdirSync(join(folder.path, 'mcp-expose', 'keys')).filter((file) => file.endsWith('.lock'))).toEqual([]);
    folder.remove();
  });

  test('through a proxy by CONNECT, where the environment asks for one', async () => {
    const asked: string[] = [];
    const proxy = createHttpServer();
    proxy.on('connect', (request, near: Socket, head: Buffer) => {
      asked.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`);
      if (asked.length === 1) {
        near.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const far = connect(other.relay.port, '127.0.0.1', () => {
        near.write('HTTP/1.1 200 OK\r\n\r\n');
        far.write(head);
        near.pipe(far).pipe(near);
      });
      sockets.add(far);
    });
    const host = await listen(proxy);
    const other = await startWorld({ publicUrl: 'http://relay.test' });
    const options = { relayUrl: 'http://relay.test', env: { http_proxy: `http://user:p%40ss@${host}` } };
    const error = await openFails(options);
    expect([error.code, error.message]).toEqual([
      'tunnel_unreachable',
      `could not connect to the relay http://relay.test: the proxy ${host} answered CONNECT relay.test:80 with 407; its credentials go into HTTPS_PROXY: http://user:password@host:port`,
    ]);
    const agent = await other.agent(echo, options);
    expect(agent.tunnel.publicUrls).toHaveLength(1);
    expect(asked[1]).toBe(`relay.test:80 Basic ${Buffer.from('user:p@ss').toString('base64')}`);
    await other.end();
  });
});
