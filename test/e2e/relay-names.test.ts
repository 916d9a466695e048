// The names that a relay gives out: in the path everywhere, in the host where there is a domain.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Exposed, launchExpose, type Relay, startBehindRelay, startRelay } from '../harness/expose.ts';
import { freePort } from '../harness/loopback-server.ts';
import { startPublicFront } from '../harness/public-front.ts';
import { fixture } from '../harness/program.ts';
import { send } from '../harness/raw-http.ts';
import { clientHeaders, initializeRequest } from '../harness/raw-mcp.ts';

const initialize = (relayUrl: string, path: string, token: string, more: [string, string][]) =>
  send(relayUrl, { method: 'POST', path, headers: clientHeaders(token, more), body: initializeRequest() });

async function behindDomain(): Promise<{ relayUrl: string; exposed: Exposed; port: number }> {
  const relay = await startRelay({ args: ['--domain', 'relay.test'], lifetime: 'file' });
  const exposed = await startBehindRelay(relay, {
    server: fixture('echo'),
    args: ['--name', 'files', '--resolve', `files.relay.test:${relay.port}:127.0.0.1`],
    lifetime: 'file',
  });
  return { relayUrl: relay.url, exposed, port: relay.port };
}

describe('host-based names', () => {
  let relayUrl: string;
  let exposed: Exposed;
  let port: number;
  beforeAll(async () => {
    ({ relayUrl, exposed, port } = await behindDomain());
  });

  test('the public URL is NAME.domain with the path exactly /mcp, and works', async () => {
    expect(new URL(exposed.publicUrl ?? '').hostname).toBe('files.relay.test');
    expect(new URL(exposed.publicUrl ?? '').pathname).toBe('/mcp');
    const reply = await initialize(relayUrl, '/mcp', exposed.token, [['Host', `files.relay.test:${port}`]]);
    expect(reply.status).toBe(200);
  });

  test('host names are case-insensitive', async () => {
    const reply = await initialize(relayUrl, '/mcp', exposed.token, [['Host', `FILES.Relay.Test:${port}`]]);
    expect(reply.status).toBe(200);
  });

  test('an unknown host: 404, shaped as JSON-RPC, naming the host', async () => {
    const reply = await initialize(relayUrl, '/mcp', exposed.token, [['Host', `nobody.relay.test:${port}`]]);
    expect(reply.status).toBe(404);
    expect(reply.json()).toMatchObject({ jsonrpc: '2.0', error: { message: expect.stringContaining('nobody') } });
  });

  test('without the token: 401; with a foreign Origin: 403', async () => {
    const host: [string, string] = ['Host', `files.relay.test:${port}`];
    expect((await initialize(relayUrl, '/mcp', 'wrong', [host])).status).toBe(401);
    const foreign = await initialize(relayUrl, '/mcp', exposed.token, [host, ['Origin', 'http://evil.example']]);
    expect(foreign.status).toBe(403);
    const sibling = await initialize(relayUrl, '/mcp', exposed.token, [host, ['Origin', 'http://other.relay.test']]);
    expect(sibling.status).toBe(403);
  });
});

test('behind a proxy that terminates TLS: --public-url is what users are told', async () => {
  const port = await freePort();
  const front = await startPublicFront(['relay.example'], () => port);
  const relay = await startRelay({ port, args: ['--public-url', 'https://relay.example'] });
  expect(relay.url).toBe('https://relay.example');
  // The agent dials the port itself; what it looks at is what the world comes through.
  const exposed = await startBehindRelay(
    { ...relay, url: `http://127.0.0.1:${port}` },
    {
      server: fixture('echo'),
      args: ['--name', 'files', ...front.resolve('relay.example')],
      env: { NODE_EXTRA_CA_CERTS: front.ca },
    },
  );
  expect(exposed.publicUrl).toBe('https://relay.example/files/mcp');
});

describe('names that are refused', () => {
  let relay: Relay;
  beforeAll(async () => {
    relay = await startRelay({ lifetime: 'file' });
  });

  test.each(['Files', 'my_files', '-x', 'a'.repeat(64), 'x.y', '..', 'mcp', 'healthz', '_mcp-expose', 'www'])(
    'the name %.20s is refused with a sentence',
    async (name) => {
      const run = launchExpose({
        server: fixture('echo'),
        args: ['--tunnel', 'relay', '--relay', relay.url, `--name=${name}`],
      });
      expect([2, 4]).toContain(await run.exited);
      expect(run.stderr()).toMatch(/name/);
    },
  );
});
