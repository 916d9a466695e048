// A public URL from the programs that a user may have: stand-ins of them, behind a public side with certificates.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { fixture, temporaryDirectory } from '../harness/program.ts';
import { launchExpose, startExpose, type Exposed, type ExposeOptions } from '../harness/expose.ts';
import { startPublicFront, type PublicFront } from '../harness/public-front.ts';
import { freePort } from '../harness/loopback-server.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';
import { connectV1 } from '../harness/sdk-clients.ts';
import { createBinaryWorld, type BinaryWorld, type BinaryWorldOptions } from '../tunnel/providers/binary-world.ts';

const quickHost = 'calm-river-1.trycloudflare.com';
const names = ['*.trycloudflare.com', '*.ngrok-free.app', 'box.tail1234.ts.net'];

const ngrok = { NGROK_AUTHTOKEN: '2abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJ' };

interface World {
  readonly world: BinaryWorld;
  readonly front: PublicFront;
  /** Options of mcp-expose on this machine. */
  options(args: string[], more?: Partial<ExposeOptions>): ExposeOptions;
}

async function machineWith(options: BinaryWorldOptions): Promise<World> {
  const world = await createBinaryWorld(options);
  const front = await startPublicFront(names, world.edgePort);
  const { PATH = '' } = world.environment.env;
  return {
    world,
    front,
    options: (args, more = {}) => ({
      server: fixture('echo'),
      args: [
        ...args,
        ...['calm-river-1', 'calm-river-2'].flatMap((name) => front.resolve(`${name}.trycloudflare.com`)),
        ...front.resolve('calm-fox.ngrok-free.app'),
      ],
      ...more,
      home: world.home,
      env: { PATH, NODE_EXTRA_CA_CERTS: front.ca, ...more.env },
    }),
  };
}

function eventsOf(exposed: Pick<Exposed, 'events'>, kind: string): Record<string, unknown>[] {
  return exposed.events().filter(({ event }) => event === kind);
}

test('cloudflared: one command gives a public URL that works, and the third party is named', async () => {
  const { front, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const exposed = await startExpose(options(['--tunnel', 'cloudflared']));
  expect(exposed.publicUrl).toBe(`https://${quickHost}/mcp`);
  expect(exposed.ready.tunnel).toEqual({
    provider: 'cloudflared',
    operator: 'Cloudflare',
    readsTraffic: true,
    verified: true,
  });
  const client = await connectV1(`${await front.plainUrl(quickHost)}/mcp`, exposed.token);
  expect(await client.call('echo', { text: 'through the tunnel' })).toBe('through the tunnel');
  expect(eventsOf(exposed, 'warning').map(({ message }) => message)).toEqual([
    'Cloudflare can read the traffic, including the token',
  ]);
});

test('a tunnel that dies comes back, under its new URL, and nothing is left in the end', async () => {
  const { world, front, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const exposed = await startExpose(options(['--tunnel', 'cloudflared']));
  const [started] = world.alive();
  process.kill(started?.pid ?? 0, 'SIGKILL');
  const up = await eventually(() => {
    const found = eventsOf(exposed, 'tunnel').find(({ state }) => state === 'up');
    if (found === undefined) throw new Error('it is not up again');
    return found;
  }, 20_000);
  expect(up['publicUrl']).toBe('https://calm-river-2.trycloudflare.com/mcp');
  expect(eventsOf(exposed, 'tunnel')[0]).toMatchObject({ state: 'reconnecting' });
  const client = await connectV1(`${await front.plainUrl('calm-river-2.trycloudflare.com')}/mcp`, exposed.token);
  expect(await client.call('echo', { text: 'again' })).toBe('again');
  expect(await exposed.stop()).toBe(143);
  expect(world.alive()).toEqual([]);
});

test('mcp-expose that is killed takes the tunnel with it', async () => {
  const { world, options } = await machineWith({
    programs: { cloudflared: 'cloudflared' },
    scenario: { ignoresSigterm: true },
  });
  const exposed = await startExpose(options(['--tunnel', 'cloudflared']));
  expect(world.alive()).not.toEqual([]);
  await exposed.stop('SIGKILL');
  await eventually(() => expect(world.alive()).toEqual([]), 10_000);
});

test('streams that the tunnel would hold back are refused, and the client still works', async () => {
  const { front, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const exposed = await startExpose(options(['--tunnel', 'cloudflared']));
  const url = await front.plainUrl(quickHost);
  const session = { 'mcp-session-id': 'unknown' };
  const headers = { authorization: `Bearer ${exposed.token}`, accept: 'text/event-stream', ...session };
  const answers = await Promise.all(['/mcp', '/sse'].map((path) => fetch(url + path, { headers })));
  expect(answers.map(({ status, headers: answered }) => [status, answered.get('allow')])).toEqual([
    [405, 'POST, DELETE'],
    [405, ''],
  ]);
  expect(await fetch(`http://${new URL(exposed.localUrl).host}/mcp`, { headers }).then(({ status }) => status)).toBe(
    404,
  );
});

test('what a client says of its own address is believed only of the tunnel', async () => {
  const { front, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const exposed = await startExpose(options(['--tunnel', 'cloudflared', '--verbose']));
  const forged = { 'cf-connecting-ip': '198.51.100.7', 'x-forwarded-for': '198.51.100.8' };
  const initialize = (url: string, headers: Record<string, string>): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: { ...Object.fromEntries(clientHeaders(exposed.token)), ...headers },
      body: initializeRequest(),
    });
  await initialize(exposed.localUrl, forged);
  await initialize(`${await front.plainUrl(quickHost)}/mcp`, forged);
  const clients = await eventually(() => {
    const found = eventsOf(exposed, 'request').filter(({ method }) => method === 'initialize');
    if (found.length < 2) throw new Error('two have not been reported');
    return found.map(({ client }) => client);
  });
  // What Cloudflare says of each is 203.0.113.9. Our own look through the tunnel is nobody's use of it.
  expect(clients).toEqual(['127.0.0.1', '203.0.113.9']);
});

/** What a client at an address of this machine gets through the tunnel. */
async function addressedTunnel(provider: 'cloudflared' | 'ngrok') {
  const { world, options } = await machineWith({ programs: { [provider]: provider } });
  const args = ['--tunnel', provider, '--allow-ip', '127.0.0.2'];
  const exposed = await startExpose(options(args, { env: ngrok }));
  const { host, pathname } = new URL(exposed.publicUrl ?? '');
  const url = `http://127.0.0.1:${world.edgePort(host)}${pathname}`;
  const ask = (from: string, token: string | undefined, more: [string, string][] = [], target = url, as = host) =>
    send(target, {
      method: 'POST',
      headers: [...clientHeaders(token ?? '').slice(token === undefined ? 1 : 0), ['Host', as], ...more],
      body: initializeRequest(),
      from,
    });
  return { exposed, ask };
}

describe('the tests of the ngrok guide, with --allow-ip', () => {
  test.each(['cloudflared', 'ngrok'] as const)(
    '%s: no token 401, a foreign address 403, with the token the answer',
    async (provider) => {
      const { exposed, ask } = await addressedTunnel(provider);
      expect((await ask('127.0.0.2', undefined)).status).toBe(401);
      const foreign = await ask('127.0.0.3', exposed.token);
      expect([foreign.status, foreign.json().error?.data]).toEqual([
        403,
        { reason: 'address_not_allowed', address: '127.0.0.3' },
      ]);
      const answer = await ask('127.0.0.2', exposed.token);
      expect(answer.status).toBe(200);
      expect(answer.body).toContain('fixture-echo');
    },
  );

  test.each(['cloudflared', 'ngrok'] as const)('%s: no header makes a client come from elsewhere', async (provider) => {
    const { exposed, ask } = await addressedTunnel(provider);
    for (const name of ['CF-Connecting-IP', 'X-Forwarded-For', 'X-Real-IP', 'Forwarded', 'True-Client-IP']) {
      const forged: [string, string][] = [[name, name === 'Forwarded' ? 'for=127.0.0.2' : '127.0.0.2']];
      // oxlint-disable-next-line no-await-in-loop -- in order
      expect((await ask('127.0.0.3', exposed.token, forged)).status).toBe(403);
      // Nor at the local listener, where there is no tunnel in front.
      const local = new URL(exposed.localUrl);
      // oxlint-disable-next-line no-await-in-loop -- as above
      expect((await ask('127.0.0.3', exposed.token, forged, local.href, local.host)).status).toBe(403);
    }
  });
});

test('a program that is missing is named, with where to get it', async () => {
  const { options } = await machineWith({ programs: {} });
  const exposed = launchExpose(options(['--tunnel', 'cloudflared']));
  expect(await exposed.exited).toBe(4);
  expect(exposed.events()).toContainEqual(
    expect.objectContaining({ event: 'error', code: 'tunnel_not_installed', message: 'cloudflared is not installed' }),
  );
});

test('with several servers, each is below the public URL', async () => {
  const { front, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const [command, ...args] = fixture('echo');
  const config = `${temporaryDirectory()}/mcp.json`;
  writeFileSync(config, JSON.stringify({ mcpServers: { one: { command, args }, two: { command, args } } }));
  const { server: _server, ...rest } = options(['--tunnel', 'cloudflared']);
  const exposed = await startExpose({ ...rest, config });
  expect(exposed.publicUrl).toBe(`https://${quickHost}`);
  const client = await connectV1(`${await front.plainUrl(quickHost)}/two/mcp`, exposed.token);
  expect(await client.call('echo', { text: 'second' })).toBe('second');
});

test('a --tunnel-port is the port that the tunnel leads to', async () => {
  const { world, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const port = await freePort();
  await startExpose(options(['--tunnel', 'cloudflared', '--tunnel-port', String(port)]));
  expect(world.calls()[0]?.args).toContain(`http://127.0.0.1:${port}`);
});

test('what the program inherits holds nothing of ours', async () => {
  const { world, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const mark = randomUUID();
  await startExpose(
    options(['--tunnel', 'cloudflared'], { env: { MCP_EXPOSE_TOKEN: `${mark}${mark}`, TUNNEL_NAME: 'x' } }),
  );
  const [call] = world.calls();
  expect(Object.keys(call?.env ?? {}).filter((name) => /^(?:MCP_EXPOSE|TUNNEL)_/.test(name))).toEqual([
    'TUNNEL_PROGRAM',
  ]);
  expect(JSON.stringify(call)).not.toContain(mark);
});

test.each([
  ['cloudflared before all else', { cloudflared: 'cloudflared', ngrok: 'ngrok' }, ngrok, 'cloudflared', []],
  ['ngrok where it has a token', { ngrok: 'ngrok' }, ngrok, 'ngrok', [/^cloudflared: .*not installed$/]],
])('auto takes %s', async (_what, programs, env, provider, reasons) => {
  const { options } = await machineWith({ programs });
  const exposed = await startExpose(options(['--tunnel', 'auto'], { env }));
  expect(exposed.ready.tunnel.provider).toBe(provider);
  expect(exposed.publicUrl).toMatch(/^https:\/\/calm-/);
  await Promise.all(
    reasons.map((reason) =>
      exposed.waitForStderr(new RegExp(reason.source.replace('^', 'mcp-expose: ').replace('$', ''), 'm')),
    ),
  );
  expect(eventsOf(exposed, 'attempt').at(-1)).toMatchObject({ provider, outcome: 'up' });
});

test('auto goes on to the next when a tunnel does not work', async () => {
  const { world, options } = await machineWith({
    programs: { cloudflared: 'cloudflared', ngrok: 'ngrok' },
    scenario: { api: 'limited' },
  });
  const exposed = await startExpose(options(['--tunnel', 'auto'], { env: ngrok }));
  expect(exposed.ready.tunnel.provider).toBe('ngrok');
  expect(eventsOf(exposed, 'attempt')).toContainEqual(
    expect.objectContaining({ provider: 'cloudflared', outcome: 'failed', reason: expect.stringContaining('429') }),
  );
  expect(world.alive()).toHaveLength(1);
});

test('auto tries in the order that it is told', async () => {
  const { options } = await machineWith({ programs: { cloudflared: 'cloudflared', ngrok: 'ngrok' } });
  const exposed = await startExpose(
    options(['--tunnel', 'auto', '--tunnel-order', 'ngrok,cloudflared'], { env: ngrok }),
  );
  expect(exposed.ready.tunnel.provider).toBe('ngrok');
  expect(exposed.ready.tunnel).toMatchObject({ headers: { 'ngrok-skip-browser-warning': '1' } });
});

test('auto that finds nothing goes on locally, and says why of each', async () => {
  const { options } = await machineWith({
    programs: { ngrok: 'ngrok', tailscale: 'tailscale' },
    scenario: { state: 'Stopped' },
  });
  const order = ['--tunnel-order', 'cloudflared,ngrok,tailscale'];
  const exposed = await startExpose(options(['--tunnel', 'auto', ...order]));
  expect([exposed.publicUrl, exposed.ready.tunnel]).toEqual([null, { provider: 'none' }]);
  expect(eventsOf(exposed, 'attempt').map(({ provider, outcome }) => [provider, outcome])).toEqual([
    ['cloudflared', 'skipped'],
    ['ngrok', 'skipped'],
    ['tailscale', 'skipped'],
  ]);
  const told = ['cloudflared', 'ngrok', 'tailscale'].map(
    (provider) => new RegExp(`^mcp-expose: ${provider}: \\S`, 'm'),
  );
  await Promise.all(told.map((line) => exposed.waitForStderr(line)));
  const client = await connectV1(exposed.localUrl, exposed.token);
  expect(await client.call('echo', { text: 'here' })).toBe('here');
});

test('without a token no tunnel is opened, unless everybody may come in', async () => {
  const { world, options } = await machineWith({ programs: { cloudflared: 'cloudflared' } });
  const closed = await startExpose(options(['--tunnel', 'auto', '--no-auth']));
  expect([closed.publicUrl, world.calls()]).toEqual([null, []]);
  const refused = launchExpose(options(['--tunnel', 'cloudflared', '--no-auth']));
  expect(await refused.exited).toBe(2);
  const open = await startExpose(options(['--tunnel', 'auto', '--no-auth', '--allow-unauthenticated-public']));
  expect(open.publicUrl).toBe(`https://${quickHost}/mcp`);
});
