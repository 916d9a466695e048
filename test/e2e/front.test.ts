// Somebody else's proxy, port mapping or SSH forward is in front: it has another name, another port, a path.
import { createServer, request } from 'node:http';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { within } from '../harness/eventually.ts';
import { launchExpose, startExpose, type Exposed } from '../harness/expose.ts';
import { freePort, listenOnLoopback } from '../harness/loopback-server.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest, openSession } from '../harness/raw-mcp.ts';

interface ProxyOptions {
  /** Taken away from the path. */
  readonly prefix?: string;
  /** Put on every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A proxy on a port of its own, in front of a port of this machine. */
async function startProxy(target: number, { prefix = '', headers = {} }: ProxyOptions = {}): Promise<number> {
  const server = createServer((incoming, response) => {
    const forwarded = request(
      {
        host: '127.0.0.1',
        port: target,
        method: incoming.method,
        path: (incoming.url ?? '/').slice(prefix.length),
        headers: { ...incoming.headers, ...headers },
        agent: false,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', () => response.writeHead(502).end());
    response.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  return listenOnLoopback(server);
}

const name = 'mcp.front.test';

async function exposeBehind(options: ProxyOptions = {}, path = ''): Promise<{ exposed: Exposed; proxy: number }> {
  const port = await freePort();
  const proxy = await startProxy(port, options);
  const exposed = await startExpose({
    server: fixture('echo'),
    args: [...frontArgs(proxy, path), '--port', String(port)],
  });
  return { exposed, proxy };
}

const frontArgs = (proxy: number, path = ''): string[] => [
  '--tunnel',
  'none',
  '--public-url',
  `http://${name}:${proxy}${path}`,
  '--resolve',
  `${name}:${proxy}:127.0.0.1`,
];

const initializeAs = (exposed: Exposed, host: string, more: [string, string][] = []) =>
  send(exposed.localUrl, {
    method: 'POST',
    headers: clientHeaders(exposed.token, [['Host', host], ...more]),
    body: initializeRequest(),
  });

describe('--public-url without a tunnel', () => {
  test.each([
    ['', '/mcp'],
    ['/mcp', '/mcp'],
    ['/tools/', '/tools/mcp'],
  ])('with the path %j is the URL that is shown, looked through and answered', async (path, endpoint) => {
    const prefix = endpoint.replace(/\/mcp$/, '');
    const { exposed, proxy } = await exposeBehind({ prefix }, path);
    expect(exposed.ready).toMatchObject({
      publicUrl: `http://${name}:${proxy}${endpoint}`,
      tunnel: { provider: 'none', verified: true },
    });
    expect(exposed.stderr()).not.toMatch(/warning/);
    const session = await openSession(`http://127.0.0.1:${proxy}${endpoint}`, exposed.token);
    expect((await session.call(2, 'ping')).result).toEqual({});
    for (const host of [name, `${name}:${proxy}`, `${name}:8443`]) {
      // oxlint-disable-next-line no-await-in-loop -- one name after the other
      const reply = await initializeAs(exposed, host, [['Origin', `https://${host}`]]);
      expect([host, reply.status]).toEqual([host, 200]);
    }
    expect((await initializeAs(exposed, `x.${name}`)).status).toBe(403);
  });

  test('that leads nowhere is marked, with what to do, and the local URL works', async () => {
    const proxy = await startProxy(await freePort());
    const exposed = await startExpose({ server: fixture('echo'), args: frontArgs(proxy) });
    expect(exposed.ready).toMatchObject({ tunnel: { verified: false } });
    await exposed.waitForStderr(/502: the proxy in front does not reach this mcp-expose/);
    expect((await initializeAs(exposed, 'localhost')).status).toBe(200);
  });

  test('behind which a credential is added is refused', async () => {
    const port = await freePort();
    const token = 'mcpx_0123456789abcdef0123456789abcdef';
    const proxy = await startProxy(port, { headers: { authorization: `Bearer ${token}` } });
    const args = [...frontArgs(proxy), '--port', String(port)];
    const run = launchExpose({ server: fixture('echo'), args, env: { MCP_EXPOSE_TOKEN: token } });
    expect(await run.exited).toBe(4);
    expect(run.stderr()).toMatch(/lets in requests without a token/);
  });

  test.each([
    [['--tunnel', 'none', '--public-url', 'https://mcp.example', '--no-auth'], /--allow-unauthenticated-public/],
    [['--tunnel', 'none', '--public-url', 'https://user:secret@mcp.example'], /--public-url takes a URL such as/],
    [['--tunnel', 'tailscale', '--public-url', 'https://mcp.example/x'], /--public-url takes a URL without a path/],
  ])('%j is refused', async (args, why) => {
    const run = launchExpose({ server: fixture('echo'), args });
    expect(await run.exited).toBe(2);
    expect(run.stderr()).toMatch(why);
    expect(run.stderr()).not.toContain('secret');
  });
});

test('--domain names a host with any port, whichever of them it was given', async () => {
  const exposed = await startExpose({ server: fixture('echo'), args: ['--domain', `${name}:8443`] });
  for (const host of [name, `${name}:8443`, `${name}:443`, `${name}:1234`]) {
    // oxlint-disable-next-line no-await-in-loop -- one name after the other
    const reply = await initializeAs(exposed, host, [['Origin', `https://${host}`]]);
    expect([host, reply.status]).toEqual([host, 200]);
  }
  expect((await initializeAs(exposed, `${name}.evil.example:8443`)).status).toBe(403);
});

describe.each(['0.0.0.0', '::'])('--host %s', (host) => {
  test('announces addresses that others can connect to, and takes requests for them with any port', async () => {
    const exposed = await startExpose({ server: fixture('echo'), args: ['--host', host] });
    const [line] = await exposed.waitForStderr(/others can connect at .*;/);
    const urls = line.match(/http:\/\/[^ ;]+/g) ?? [];
    expect(line).not.toMatch(/127\.0\.0\.|\[::1\]|fe80|localhost/);
    for (const url of urls) {
      const { hostname, port } = new URL(url);
      const bare = hostname.replaceAll(/[[\]]/g, '');
      // oxlint-disable-next-line no-await-in-loop -- one address after the other
      await connectTo(bare, Number(port));
      // oxlint-disable-next-line no-await-in-loop -- one address after the other
      const replies = await Promise.all([hostname, `${hostname}:8080`].map((own) => initializeAs(exposed, own)));
      expect(replies.map(({ status }) => status)).toEqual([200, 200]);
    }
    expect((await initializeAs(exposed, 'evil.example')).status).toBe(403);
  });
});

async function connectTo(host: string, port: number): Promise<void> {
  const socket = net.connect(port, host);
  try {
    await within(
      5000,
      `a connection to ${host}`,
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
    );
  } finally {
    socket.destroy();
  }
}
