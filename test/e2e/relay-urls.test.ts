// The URLs of a relay: what it tells agents, and what people paste for it.
import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type ExposeOptions, launchExpose, startBehindRelay, startRelay } from '../harness/expose.ts';
import { freePort } from '../harness/loopback-server.ts';
import { fixture } from '../harness/program.ts';
import { type PublicFront, startPublicFront } from '../harness/public-front.ts';
import { openSession } from '../harness/raw-mcp.ts';

const server = fixture('echo');
/** Addresses of this machine beside loopback; a machine without any has none to be reached at. */
const own = Object.values(networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .filter(({ family, internal }) => family === 'IPv4' && !internal)
  .map(({ address }) => address);

/** Options with which mcp-expose finds the proxy in front of the relay when it looks at its public URL. */
const behindFront = (front: PublicFront): ExposeOptions => ({
  server,
  args: front.resolve('relay.example'),
  env: { NODE_EXTRA_CA_CERTS: front.ca },
});

const onAll = ['--host', '0.0.0.0'];

describe('a relay on all addresses', () => {
  test('says at its start which addresses others can use', async () => {
    const relay = await startRelay({ args: onAll });
    await relay.waitForStderr(/warning: without --public-url, agents get URLs under the address that they dial.*\n/);
    for (const address of own) expect(relay.stderr()).toContain(`http://${address}:${relay.port}`);
  });

  test.each([...own.slice(0, 1), 'localhost', '127.0.0.1'])('gives an agent that dials %s URLs there', async (host) => {
    const relay = await startRelay({ args: onAll });
    const url = `http://${host}:${relay.port}`;
    const exposed = await startBehindRelay({ ...relay, url }, { server, args: ['--name', 'files'] });
    expect(exposed.publicUrl).toBe(`${url}/files/mcp`);
    expect(await openSession(exposed.url, exposed.token)).toHaveProperty('id');
  });

  test('with --public-url there is no such warning, and its URLs are given out', async () => {
    const port = await freePort();
    const front = await startPublicFront(['relay.example'], () => port);
    const relay = await startRelay({ port, args: [...onAll, '--public-url', 'https://relay.example'] });
    expect(relay.stderr()).not.toContain('without --public-url');
    const exposed = await startBehindRelay({ ...relay, url: `http://127.0.0.1:${port}` }, behindFront(front));
    expect(exposed.publicUrl).toMatch(/^https:\/\/relay\.example\/[a-z2-7]{10}\/mcp$/);
  });
});

test('behind a proxy it says at its start, and when it sees it, that origins cannot be told apart', async () => {
  const port = await freePort();
  const front = await startPublicFront(['relay.example'], () => port);
  const relay = await startRelay({ port, args: ['--public-url', 'https://relay.example'] });
  await relay.waitForStderr(/warning: .*X-Forwarded-For.*cannot be told apart/);
  const exposed = await startBehindRelay({ ...relay, url: `http://127.0.0.1:${port}` }, behindFront(front));
  expect(exposed.publicUrl).toMatch(/^https:\/\/relay\.example\//);
  await relay.waitForStderr(/warning: the proxy in front of this relay does not name its clients/);
});

const pasted = async (relayUrl: string): Promise<string> => {
  const run = launchExpose({ server, args: ['--relay', relayUrl] });
  expect(await run.exited).toBe(4);
  return run.stderr();
};

describe('the URL of something shared instead of that of its relay', () => {
  test.each(['/files/mcp', '/nobody/mcp'])('%s', async (path) => {
    const relay = await startRelay();
    await startBehindRelay(relay, { server, args: ['--name', 'files'] });
    const stderr = await pasted(`${relay.url}${path}`);
    expect(stderr).toContain(`${relay.url}${path} is the URL of something that is shared at a relay`);
    expect(stderr).toContain('a relay URL has no path');
    expect(stderr).toContain(`hint: use --relay ${relay.url}\n`);
    expect(stderr).not.toContain('try again later');
  });

  test('a relay that knows its own URL names it', async () => {
    const port = await freePort();
    await startRelay({ port, args: ['--public-url', 'https://relay.example/tunnels'] });
    const stderr = await pasted(`http://127.0.0.1:${port}/tunnels/files/mcp`);
    expect(stderr).toContain('hint: use --relay https://relay.example/tunnels\n');
  });
});
